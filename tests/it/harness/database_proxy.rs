//! A PostgreSQL server that can be stopped and started: a TCP proxy in front of the real one.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

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

    pub(crate) async fn resume(&mut self) {
        self.run(TcpListener::bind(self.address).await.unwrap());
    }
}
