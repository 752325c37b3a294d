//! HTTP/1.1 as far as the benchmark needs it: one connection per worker, kept alive, and bodies with a known length.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The header lines and the body of a request or a response.
#[derive(Default)]
pub struct Message {
    pub first_line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    /// Reads a message. An end of the stream before its first byte is `UnexpectedEof`.
    pub fn read(reader: &mut impl BufRead) -> Result<Self> {
        let mut message = Self { first_line: line(reader)?, ..Self::default() };
        loop {
            let header = line(reader)?;
            let Some((name, value)) = header.split_once(':') else { break };
            message.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut body = Vec::new();
        if message.header("transfer-encoding") == Some("chunked") {
            read_chunks(reader, &mut body)?;
        } else if let Some(length) = message.header("content-length") {
            body.resize(length.parse().map_err(|_| Error::from(ErrorKind::InvalidData))?, 0);
            reader.read_exact(&mut body)?;
        }
        message.body = String::from_utf8_lossy(&body).into_owned();
        Ok(message)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub fn status(&self) -> u16 {
        self.first_line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let size = line(reader)?;
        let size = size.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(|_| Error::from(ErrorKind::InvalidData))?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        line(reader)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// Cookies by name.
pub type Cookies = Vec<(String, String)>;

/// A connection to the relying party. It reconnects once if the server closed it.
pub struct Client {
    pub host: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), connection: None }
    }

    /// Sends a request and stores the response's cookies. `more` holds complete header lines.
    pub fn send(&mut self, request: &str, cookies: &mut Cookies, more: &str, body: Option<&str>) -> Result<Message> {
        let mut head = format!("{request} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{more}", self.host);
        if !cookies.is_empty() {
            let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head += &format!("Cookie: {}\r\n", pairs.join("; "));
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        head += body.unwrap_or_default();
        let kept = self.connection.is_some();
        let response = match self.exchange(&head) {
            Err(_) if kept => self.exchange(&head)?,
            response => response?,
        };
        for (_, cookie) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
            cookies.retain(|(stored, _)| stored != name);
            if !value.is_empty() {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(response)
    }

    fn exchange(&mut self, request: &str) -> Result<Message> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(&self.host)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                BufReader::new(stream)
            }
        };
        connection.get_mut().write_all(request.as_bytes())?;
        let response = Message::read(&mut connection)?;
        if response.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(response)
    }
}
