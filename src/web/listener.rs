//! Where connections come from: TCP addresses and Unix sockets.

use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::client::Peer;
use crate::config::{ListenAddress, SocketMode};

pub(super) type Stream = Either<TcpStream, UnixStream>;

/// A socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    // Declared first: it is removed before the socket stops to listen, and never when another process has replaced it.
    file: Option<SocketFile>,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn bind(address: &ListenAddress, mode: SocketMode) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::from),
            ListenAddress::Unix(path) => bind_unix(path, mode).await,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        static ACCEPTED: AtomicU64 = AtomicU64::new(0);
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                Ok((Either::Left(stream), Peer::Address(peer)))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Right(stream), Peer::UnixSocket(ACCEPTED.fetch_add(1, Ordering::Relaxed))))
            }
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self { file: None, socket: Socket::Tcp(listener) }
    }
}

/// Its file belongs to another process.
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self { file: None, socket: Socket::Unix(listener) }
    }
}

impl fmt::Display for Listener {
    /// Its address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.socket, &self.file) {
            (_, Some(file)) => write!(f, "unix:{}", file.path.display()),
            (Socket::Tcp(listener), None) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("a TCP socket"),
            },
            (Socket::Unix(listener), None) => match listener.local_addr() {
                Ok(address) => write!(f, "unix:{}", address.as_pathname().unwrap_or(Path::new("")).display()),
                Err(_) => f.write_str("a Unix socket"),
            },
        }
    }
}

/// The name of a Unix socket in the file system, which ends with the socket.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let identity = identity(&fs::symlink_metadata(path)?);
        Ok(Self { path: path.to_owned(), identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

async fn bind_unix(path: &Path, mode: SocketMode) -> io::Result<Listener> {
    check_free(path).await?;
    // It gets its name last: no one connects before the permissions are set.
    let unnamed = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let _ = fs::remove_file(&unnamed);
    let socket = UnixListener::bind(&unnamed)?;
    let mut file = SocketFile::of(&unnamed)?;
    fs::set_permissions(&unnamed, Permissions::from_mode(mode.bits()))?;
    fs::rename(&unnamed, path)?;
    path.clone_into(&mut file.path);
    Ok(Listener { file: Some(file), socket: Socket::Unix(socket) })
}

/// A socket that a process has left behind may be replaced, but neither one in use nor another file.
async fn check_free(path: &Path) -> io::Result<()> {
    let problem = |kind, problem: &str| Err(io::Error::new(kind, problem.to_owned()));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.is_dir() => {
                problem(ErrorKind::NotFound, &format!("the folder {} does not exist; create it", folder.display()))
            }
            _ => Ok(()),
        },
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            problem(ErrorKind::AlreadyExists, "another file is there; remove it or choose another path")
        }
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => problem(
                ErrorKind::PermissionDenied,
                "a socket of another user is there; stop the process that serves it and remove it, or choose another path",
            ),
            Ok(_) | Err(_) => {
                problem(ErrorKind::AddrInUse, "another process serves it; stop that process or choose another path")
            }
        },
    }
}
