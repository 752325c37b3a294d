//! `signpost serve` as a process, with its log.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Browser, World, forward, wait_for};

/// How long a process may take to start, to answer or to end.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    pub public: SocketAddr,
    pub management: SocketAddr,
}

impl Process {
    /// On free ports, with the database and the settings file of a world.
    pub(crate) async fn serve(world: &World) -> Self {
        world.settings_file();
        Self::start(Self::command(world)).await
    }

    /// The command that [`Process::serve`] starts. The settings file must exist.
    pub(crate) fn command(world: &World) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
        command.arg("serve");
        Self::configure(&mut command, world);
        command
    }

    /// Settings of a process beside others, with a log that [`Process::line`] reads.
    pub(crate) fn configure(command: &mut Command, world: &World) {
        command
            .env("SIGNPOST_CONFIG", world.folder.path().join("signpost.toml"))
            .env("SIGNPOST__SERVER__LISTEN", "127.0.0.1:0")
            .env("SIGNPOST__LOG__FORMAT", "json");
    }

    /// Starts a command that serves, and waits until it does.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = (Arc::new(Mutex::new(Vec::new())), BufReader::new(child.stderr.take().unwrap()));
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in log.lines() {
                let line = line.unwrap();
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                sink.lock().unwrap().push(line);
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, lines, public: nowhere, management: nowhere };
        let serving = process.line("serving", |line| line["fields"]["message"] == "serving").await;
        // A Unix socket has no such address.
        let address = |name: &str| serving["fields"][name].as_str().unwrap().parse().unwrap_or(nowhere);
        (process.public, process.management) = (address("listen"), address("management"));
        process
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(forward(self.public))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for a line of the log, or finds one that is there.
    pub(crate) async fn line(&self, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let what = format!("a line of the log: {what}");
        let found = async || self.lines.lock().unwrap().iter().find(|line| is_wanted(line)).cloned();
        let found = tokio::time::timeout(TIMEOUT, wait_for(TIMEOUT * 2, &what, found)).await;
        found.unwrap_or_else(|_| panic!("{what} is missing in {:#?}", self.lines.lock().unwrap()))
    }

    /// Lines with this message.
    pub(crate) fn count_lines(&self, message: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line["fields"]["message"] == message).count()
    }

    /// How much memory it uses.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let process = procfs::process::Process::new(i32::try_from(self.child.id()).unwrap()).unwrap();
        process.statm().unwrap().resident * procfs::page_size()
    }

    /// Shuts the process down and returns its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(tokio::time::Instant::now() < deadline, "it does not end: {:#?}", self.lines.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
