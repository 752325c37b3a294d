//! A stub OpenID provider: discovery, keys and a token endpoint. The driver takes the place of its sign-in page.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::http::Message;

type Parameters = HashMap<String, String>;

pub fn parameters(text: &str) -> Parameters {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

/// An authorization code that has not been redeemed.
struct Grant {
    client_id: String,
    nonce: String,
    code_challenge: String,
    subject: String,
}

pub struct Provider {
    pub issuer: String,
    key: RsaKeyPair,
    random: SystemRandom,
    grants: Mutex<HashMap<String, Grant>>,
    issued: AtomicU64,
    users: u64,
}

impl Provider {
    /// Listens on `port` of loopback. Subjects are `user1` to `user{users}`, one after the other.
    pub fn start(port: u16, users: u64) -> Result<Arc<Self>, String> {
        let generate = "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null | openssl pkcs8 -topk8 -nocrypt -outform DER";
        let output = Command::new("sh").args(["-c", generate]).output().map_err(|error| error.to_string())?;
        let key =
            RsaKeyPair::from_pkcs8(&output.stdout).map_err(|error| format!("openssl made no RSA key: {error}"))?;
        let issuer = format!("http://127.0.0.1:{port}");
        let provider = Arc::new(Self {
            issuer,
            key,
            random: SystemRandom::new(),
            grants: Mutex::default(),
            issued: AtomicU64::new(0),
            users,
        });
        let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
        let serving = Arc::clone(&provider);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let provider = Arc::clone(&serving);
                thread::spawn(move || provider.serve(stream));
            }
        });
        Ok(provider)
    }

    /// What the sign-in page does after the password: a code for this authorization request.
    pub fn authorize(&self, request: &Parameters) -> String {
        let value = |name: &str| request.get(name).cloned().unwrap_or_default();
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let code = format!("code-{number}");
        let grant = Grant {
            client_id: value("client_id"),
            nonce: value("nonce"),
            code_challenge: value("code_challenge"),
            subject: format!("user{}", number % self.users + 1),
        };
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).insert(code.clone(), grant);
        code
    }

    fn serve(&self, stream: TcpStream) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let mut reader = BufReader::new(stream);
        while let Ok(request) = Message::read(&mut reader) {
            let path = request.first_line.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match path {
                "/.well-known/openid-configuration" => (200, self.discovery()),
                "/jwks" => (200, self.jwks()),
                "/token" => self.token(&parameters(&request.body)),
                _ => (404, json!({ "error": "not_found" })),
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            if reader.get_mut().write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }

    /// OpenID Connect Discovery 1.0, section 3.
    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email"],
        })
    }

    fn jwks(&self) -> Value {
        let public: RsaPublicKeyComponents<Vec<u8>> = self.key.public().into();
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench",
            "n": BASE64.encode(public.n), "e": BASE64.encode(public.e),
        }] })
    }

    /// The token endpoint. A code is accepted once and with its PKCE verifier (RFC 7636, section 4.6).
    fn token(&self, request: &Parameters) -> (u16, Value) {
        let code = request.get("code").map_or("", String::as_str);
        let grant = self.grants.lock().unwrap_or_else(PoisonError::into_inner).remove(code);
        let verifier = request.get("code_verifier").map_or("", String::as_str);
        let challenge = BASE64.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()));
        match grant {
            Some(grant) if grant.code_challenge.is_empty() || grant.code_challenge == challenge => (
                200,
                json!({ "access_token": code, "token_type": "Bearer", "expires_in": 3600, "id_token": self.id_token(&grant) }),
            ),
            _ => (400, json!({ "error": "invalid_grant" })),
        }
    }

    fn id_token(&self, grant: &Grant) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "bench" }).to_string();
        let claims = json!({
            "iss": self.issuer, "sub": grant.subject, "aud": grant.client_id, "nonce": grant.nonce,
            "iat": now, "exp": now + 3600, "auth_time": now, "preferred_username": grant.subject,
            "email": format!("{}@mail.example", grant.subject), "email_verified": true,
        });
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        // Signing fails only with a buffer of another length.
        let _ = self.key.sign(&RSA_PKCS1_SHA256, &self.random, signed.as_bytes(), &mut signature);
        format!("{signed}.{}", BASE64.encode(signature))
    }
}
