//! Faults of the disk, of memory and of the database file under SQLite, while the process runs. A request that meets one fails
//! honestly, what was acknowledged stays, and sign-ins work again as soon as the cause is gone.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signpost::app::management_router;
use signpost::audit::LookupResult;
use signpost::db::{Db, DbError, Sql, Tx};
use signpost::{sql, values};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, yield_now};

use crate::harness::{Browser, LEGACY, World};

const ADD: Sql = sql!("INSERT INTO consumed_token (kind, id, expires_at) VALUES ('fault', $1, 9223372036854775807)");
const ADDED: Sql = sql!("SELECT id FROM consumed_token WHERE kind = 'fault' ORDER BY id");
const SIGNED_IN: Sql = sql!("SELECT count(*) AS value FROM biller_session");
/// Larger than the page cache of the connection that writes.
const ROWS_THAT_SPILL: usize = 3000;

fn unchecked(text: &'static str) -> Sql {
    Sql::new_unchecked(text)
}

async fn write(db: &Db, id: &str) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    tx.run(ADD, values![id]).await?;
    tx.commit().await
}

/// What other connections see.
async fn committed(db: &Db) -> Vec<String> {
    db.all(ADDED, Vec::new()).await.unwrap().iter().map(|row| row.text("id").unwrap()).collect()
}

/// The primary result code of SQLite.
fn result_code(error: &DbError) -> Option<i32> {
    let DbError::Failed(sqlx::Error::Database(error)) = error else { return None };
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// Lets no file of this process grow, or lifts the limit: writes fail with EFBIG, which SQLite reports as an I/O error. Each
/// test is a process of its own.
fn set_read_only_disk(is_read_only: bool) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let current = if is_read_only { Some(0) } else { maximum };
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

/// With a handler of its own, the signal does not kill the process.
fn survive_file_size_limit() {
    let exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    drop(signal(exceeded).unwrap());
}

fn database(world: &World) -> PathBuf {
    world.folder.path().join("test.db")
}

fn log(world: &World) -> PathBuf {
    world.folder.path().join("test.db-wal")
}

/// Copies the whole log into the database file, and makes other connections read their pages again.
async fn checkpoint(world: &World) {
    let mut other = world.sqlite_connection().await;
    sqlx::query("UPDATE revision SET value = value + 1 WHERE name = 'billers'").execute(&mut other).await.unwrap();
    let done = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut other).await.unwrap();
    assert_eq!(done, 0, "no reader kept the log");
    other.close().await.unwrap();
}

fn overwrite(file: &Path, bytes: &[u8], at: u64) {
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(bytes, at).unwrap();
}

/// A sign-in that has come to its callback, where it writes.
async fn begin_sign_in(world: &World) -> (Browser, String) {
    let mut browser = world.browser();
    let start = browser.get("/b/riverside-water").await;
    let callback = world.authenticate(&start.location(), "one-moved").await;
    (browser, callback)
}

/// What must hold during any fault and after it.
struct Witness {
    signed_in: i64,
    /// What was written.
    acknowledged: Vec<String>,
    begun: (Browser, String),
}

impl Witness {
    /// One sign-in is acknowledged, and one is under way.
    async fn new(world: &World) -> Self {
        world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
        write(&world.state.db, "before").await.unwrap();
        world.state.decisions.flush().await;
        let acknowledged = vec!["before".to_owned()];
        Self { signed_in: signed_in(world).await, acknowledged, begun: begin_sign_in(world).await }
    }

    /// The sign-in under way gets 503. Returns the reference code of its page.
    async fn expect_outage(&mut self) -> String {
        let (browser, callback) = &mut self.begun;
        let answer = browser.get(callback).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
        answer.reference()
    }

    /// Call it at once when the cause is gone.
    async fn expect_recovery(mut self, world: &World, code: &str) {
        world.sign_in(&mut world.browser(), "riverside-water", "one-moved").await;
        write(&world.state.db, "later").await.unwrap();
        self.acknowledged.push("later".to_owned());
        assert_eq!(committed(&world.state.db).await, self.acknowledged);
        assert_eq!(
            signed_in(world).await,
            self.signed_in + 1,
            "an acknowledged session is lost, or a refused one is there"
        );
        let recorded = world.decision(code).await;
        assert!(matches!(recorded, LookupResult::Recorded(_)), "the decision of the outage is written: {recorded:?}");
        let mut fresh = world.sqlite_connection().await;
        let check = sqlx::query_scalar::<_, String>("PRAGMA integrity_check").fetch_one(&mut fresh).await.unwrap();
        assert_eq!(check, "ok");
    }
}

async fn signed_in(world: &World) -> i64 {
    world.state.db.one(SIGNED_IN, Vec::new()).await.unwrap().unwrap().int("value").unwrap()
}

/// Two transactions of one group: the first has left its commit to the group, and the second one is open.
async fn shared_commit(db: &Db) -> (JoinHandle<Result<(), DbError>>, Tx) {
    let mut first = db.begin_shared().await.unwrap();
    first.run(ADD, values!["first"]).await.unwrap();
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { db.begin_shared().await.unwrap() }
    });
    yield_now().await;
    let first = tokio::spawn(first.commit());
    let mut second = waiting.await.unwrap();
    second.run(ADD, values!["second"]).await.unwrap();
    assert!(!first.is_finished());
    (first, second)
}

#[tokio::test]
async fn sign_ins_resume_after_an_input_output_error_at_commit() {
    survive_file_size_limit();
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    set_read_only_disk(true);
    let error = write(&world.state.db, "refused").await.unwrap_err();
    assert_eq!(result_code(&error), Some(10), "IOERR: {error}");
    let code = witness.expect_outage().await;
    set_read_only_disk(false);
    witness.expect_recovery(&world, &code).await;
}

#[tokio::test]
async fn sign_ins_resume_after_an_input_output_error_in_a_statement() {
    survive_file_size_limit();
    let world = World::start().await;
    let db = &world.state.db;
    let mut witness = Witness::new(&world).await;
    set_read_only_disk(true);
    let mut tx = db.begin().await.unwrap();
    let mut failure = None;
    for at in 0..ROWS_THAT_SPILL {
        if let Err(error) = tx.run(ADD, values![format!("{at:0>900}")]).await {
            failure = Some(error);
            break;
        }
    }
    let error = failure.expect("the page cache is full and cannot be written");
    assert_eq!(result_code(&error), Some(10), "IOERR: {error}");
    assert!(tx.run(ADD, values!["ignored the error"]).await.is_err());
    assert!(tx.commit().await.is_err());
    let code = witness.expect_outage().await;
    set_read_only_disk(false);
    witness.expect_recovery(&world, &code).await;
}

#[tokio::test]
async fn input_output_error_fails_every_member_of_a_group() {
    survive_file_size_limit();
    let world = World::start().await;
    let db = &world.state.db;
    // At the shared commit.
    let (first, second) = shared_commit(db).await;
    set_read_only_disk(true);
    assert!(second.commit().await.is_err());
    assert!(matches!(first.await.unwrap(), Err(DbError::GroupFailed(_))));
    set_read_only_disk(false);
    write(db, "a").await.unwrap();
    assert_eq!(committed(db).await, ["a"]);
    // In a statement of a member.
    let (first, mut second) = shared_commit(db).await;
    set_read_only_disk(true);
    let mut failed = false;
    for at in 0..ROWS_THAT_SPILL {
        failed = failed || second.run(ADD, values![format!("{at:0>900}")]).await.is_err();
    }
    assert!(failed, "the page cache is full and cannot be written");
    assert!(matches!(first.await.unwrap(), Err(DbError::GroupFailed(_))));
    assert!(second.commit().await.is_err());
    set_read_only_disk(false);
    write(db, "b").await.unwrap();
    assert_eq!(committed(db).await, ["a", "b"]);
}

#[tokio::test]
async fn sign_ins_resume_after_pages_were_corrupt() {
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    checkpoint(&world).await;
    let whole = std::fs::read(database(&world)).unwrap();
    // All pages but the first, which has the header and the schema.
    overwrite(&database(&world), &vec![0xff; whole.len() - 4096], 4096);
    let error = write(&world.state.db, "refused").await.unwrap_err();
    assert_eq!(result_code(&error), Some(11), "CORRUPT: {error}");
    let code = witness.expect_outage().await;
    overwrite(&database(&world), &whole, 0);
    witness.expect_recovery(&world, &code).await;
}

#[tokio::test]
async fn sign_ins_resume_after_transactions_could_not_begin() {
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    checkpoint(&world).await;
    let whole = std::fs::read(database(&world)).unwrap();
    overwrite(&database(&world), &[0xff; 4096], 0);
    let error = world.state.db.begin().await.unwrap_err();
    assert_eq!(result_code(&error), Some(26), "NOTADB: {error}");
    let code = witness.expect_outage().await;
    overwrite(&database(&world), &whole, 0);
    witness.expect_recovery(&world, &code).await;
}

#[tokio::test]
async fn sign_ins_resume_after_the_file_was_cut_off() {
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    checkpoint(&world).await;
    let whole = std::fs::read(database(&world)).unwrap();
    File::options().write(true).open(database(&world)).unwrap().set_len(4096).unwrap();
    let error = write(&world.state.db, "refused").await.unwrap_err();
    assert_eq!(result_code(&error), Some(11), "CORRUPT: {error}");
    let code = witness.expect_outage().await;
    overwrite(&database(&world), &whole, 0);
    witness.expect_recovery(&world, &code).await;
}

#[tokio::test]
async fn sign_ins_resume_after_the_log_was_cut_off() {
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    let mut other = world.sqlite_connection().await;
    // Now the connections of the gateway read their pages again.
    sqlx::query("UPDATE revision SET value = value + 1 WHERE name = 'billers'").execute(&mut other).await.unwrap();
    let whole = std::fs::read(log(&world)).unwrap();
    File::options().write(true).open(log(&world)).unwrap().set_len(32).unwrap();
    let error = write(&world.state.db, "refused").await.unwrap_err();
    assert_eq!(result_code(&error), Some(10), "IOERR_SHORT_READ: {error}");
    let code = witness.expect_outage().await;
    overwrite(&log(&world), &whole, 0);
    witness.expect_recovery(&world, &code).await;
}

#[tokio::test]
async fn sign_ins_resume_after_another_process_held_the_write_lock() {
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    let mut other = world.sqlite_connection().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    // After it has waited as long as a writer may.
    let code = witness.expect_outage().await;
    let db = world.state.db.clone();
    let waiting = tokio::spawn(async move { write(&db, "before the lock was released").await });
    yield_now().await;
    assert!(!waiting.is_finished());
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    waiting.await.unwrap().unwrap();
    witness.acknowledged.push("before the lock was released".to_owned());
    witness.expect_recovery(&world, &code).await;
}

#[tokio::test]
async fn sign_ins_resume_after_the_file_was_away() {
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    let (path, aside) = (database(&world), world.folder.path().join("aside.db"));
    std::fs::rename(&path, &aside).unwrap();
    let error = write(&world.state.db, "into a file without a name").await.unwrap_err();
    assert!(error.to_string().contains("replaced or deleted"), "{error}");
    std::fs::copy(&aside, &path).unwrap();
    let error = write(&world.state.db, "into a file that others do not read").await.unwrap_err();
    assert!(error.to_string().contains("put it back, or restart"), "{error}");
    let code = witness.expect_outage().await;
    std::fs::rename(&aside, &path).unwrap();
    witness.expect_recovery(&world, &code).await;
}

/// Takes the memory that SQLite may still use, until `hog` is closed.
async fn exhaust_memory(hog: &mut SqliteConnection) {
    sqlx::query("CREATE TABLE IF NOT EXISTS hog (value BLOB)").execute(&mut *hog).await.unwrap();
    for size in [1_048_576, 65_536, 4096, 256, 16] {
        while sqlx::query("INSERT INTO hog VALUES (zeroblob($1))").bind(size).execute(&mut *hog).await.is_ok() {}
    }
}

#[tokio::test]
async fn sign_ins_resume_after_memory_was_exhausted() {
    let world = World::start().await;
    let mut witness = Witness::new(&world).await;
    let db = &world.state.db;
    let mut begun = Vec::new();
    for _ in 0..20 {
        begun.push(begin_sign_in(&world).await);
    }
    db.run(unchecked("PRAGMA hard_heap_limit = 16777216"), Vec::new()).await.unwrap();
    let mut hog = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let (mut was_exhausted, mut outage) = (false, None);
    // A connection that met the error returns its memory some time later: a request may succeed then.
    for (at, sign_in) in begun.into_iter().enumerate() {
        exhaust_memory(&mut hog).await;
        let id = format!("big {at:02} {}", "x".repeat(100_000));
        match write(db, &id).await {
            Ok(()) => witness.acknowledged.push(id),
            Err(error) => was_exhausted |= result_code(&error) == Some(7),
        }
        exhaust_memory(&mut hog).await;
        let (mut browser, callback) = sign_in;
        let answer = browser.get(&callback).await;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            outage = Some(answer.reference());
            break;
        }
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        witness.signed_in += 1;
    }
    assert!(was_exhausted, "NOMEM");
    let code = outage.expect("no sign-in met the error");
    hog.close().await.unwrap();
    witness.expect_recovery(&world, &code).await;
}

/// A small file system in memory. Dropping it unmounts it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None: only root may mount.
    #[expect(clippy::print_stdout, reason = "says why the test is skipped")]
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(mounted) if mounted.status.success() => Some(Self(folder)),
            other => {
                println!("skipped: no tmpfs can be mounted here: {other:?}");
                None
            }
        }
    }

    /// Writes until there is no space left.
    fn fill(&self) -> PathBuf {
        use std::io::{ErrorKind, Write};
        let path = self.0.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        for size in [65536, 4096, 1] {
            loop {
                match filler.write_all(&vec![0; size]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn sign_ins_resume_when_a_full_file_system_has_space_again() {
    let Some(disk) = SmallDisk::mount() else { return };
    let world = World::in_folder(tempfile::tempdir_in(disk.0.path()).unwrap()).await;
    for round in 0..3 {
        let mut witness = Witness::new(&world).await;
        let filler = disk.fill();
        let error = write(&world.state.db, "refused").await.unwrap_err();
        assert_eq!(result_code(&error), Some(13), "FULL: {error}");
        let code = witness.expect_outage().await;
        let start = world.browser().get("/b/riverside-water").await;
        assert!(start.location().starts_with(LEGACY), "a sign-in could not be completed: {}", start.location());
        let ready = Browser::new(management_router(world.state.clone())).get("/readyz").await;
        assert!(ready.body.contains("writes are refused: the disk is full"), "{}", ready.body);
        std::fs::remove_file(filler).unwrap();
        world.wait_for_writes().await;
        witness.expect_recovery(&world, &code).await;
        let cleared =
            world.state.db.run(unchecked("DELETE FROM consumed_token WHERE kind = 'fault'"), Vec::new()).await;
        assert_eq!(cleared.unwrap(), 2, "round {round}");
    }
}

#[tokio::test]
async fn file_that_cannot_be_opened_says_what_to_check() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().display());
    let error = Db::open(&url, 1, signpost::db::Schema::Migrate).await.unwrap_err().to_string();
    assert!(error.contains("(code: 14)") && error.contains("mounted read-only"), "{error}");
}
