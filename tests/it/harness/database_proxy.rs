//! A PostgreSQL server that can be stopped and started: a TCP proxy in front of the real one.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// What a proxy does with connections while its server is away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outage {
    Close,
    AnswerNonsense,
}

pub(crate) struct DatabaseProxy {
    address: SocketAddr,
    server: String,
    running: Option<JoinHandle<()>>,
}

impl DatabaseProxy {
    /// Returns the URL of the database behind the proxy.
    pub(super) async fn start(database: &str) -> (String, Self) {
        let mut url = url::Url::parse(database).unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        url.set_port(Some(address.port())).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        let mut proxy = Self { address, server, running: None };
        proxy.run(listener);
        (url.into(), proxy)
    }

    fn run(&mut self, listener: TcpListener) {
        let server = self.server.clone();
        self.running = Some(tokio::spawn(async move {
            // Dropped with the task, which ends the connections.
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                connections.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        }));
    }

    /// Ends all connections and refuses new ones.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// Ends all connections, and accepts new ones without forwarding them. Returns a message for each.
    pub(crate) async fn accept_without_server(&mut self, outage: Outage) -> mpsc::UnboundedReceiver<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        let (sender, accepted) = mpsc::unbounded_channel();
        self.running = Some(tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if let Outage::AnswerNonsense = outage {
                    let _ = client.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await;
                }
                drop(client);
                let _ = sender.send(());
            }
        }));
        accepted
    }

    pub(crate) async fn resume(&mut self) {
        self.stop().await;
        self.run(TcpListener::bind(self.address).await.unwrap());
    }
}
