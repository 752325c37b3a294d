//! Which IP addresses outgoing calls may reach.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::AddressPolicy;

#[derive(Debug, thiserror::Error)]
#[error("the name resolves to an IP address that is not allowed")]
pub(super) struct PrivateAddress;

#[derive(Debug, thiserror::Error)]
#[error("the name cannot be resolved")]
pub(super) struct UnknownHost(#[source] std::io::Error);

/// Resolves names and drops addresses that are not allowed. It runs at every connection, so that DNS rebinding has no effect.
pub(super) struct PublicResolver {
    pub addresses: Arc<AddressPolicy>,
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = Arc::clone(&self.addresses);
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await.map_err(UnknownHost)?.collect();
            let public: Vec<SocketAddr> = found.into_iter().filter(|a| addresses.allows(a.ip())).collect();
            if public.is_empty() {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
