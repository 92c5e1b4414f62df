//! Which store the tests use: `SQLite` files, or, where `GRIDCROSS_TEST_STORE` is `postgres`, a server
//! of this process's own, which ends with it.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use crate::store::database::{Connection, Store};

/// Runs the server until nobody holds the other end of its input any more, whatever happened to him.
const KEEPER: &str = r#"
options="-k $2 -c listen_addresses= -c fsync=off -c max_connections=200"
"$1/pg_ctl" -s -w -D "$2/data" -l "$2/log" -o "$options" start || exit 1
echo ready
cat > /dev/null
"$1/pg_ctl" -s -D "$2/data" -m immediate stop
rm -rf "$2"
"#;

/// A server that was started.
pub(super) struct Server {
    socket: PathBuf,
    /// Holds the other end of the input.
    _keeper: Child,
}

impl Server {
    /// A store of this name on the server; another name is another store.
    pub(super) fn store(&self, name: &str) -> Store {
        let connection = Connection::connect(&self.address(""), "").unwrap();
        connection.execute_batch(&format!("CREATE SCHEMA IF NOT EXISTS {name}")).unwrap();
        Store::Server(self.address(&format!("&options=-csearch_path%3D{name}")))
    }

    fn address(&self, more: &str) -> crate::store::database::Address {
        let socket = self.socket.to_string_lossy().replace('/', "%2F");
        format!("postgres://tests@{socket}/postgres?connect_timeout=10{more}").parse().unwrap()
    }
}

/// The store for a file's path.
pub(super) fn store(path: &Path) -> Store {
    match std::env::var("GRIDCROSS_TEST_STORE").as_deref() {
        Ok("postgres") => {
            let server = server().expect("PostgreSQL is asked for, and is not installed");
            server.store(&name_of(path))
        }
        _ => Store::from(path),
    }
}

/// Whether the tests use files: what is done to a file cannot be done to a server.
pub(super) fn is_of_files() -> bool {
    store(Path::new("any")).file().is_some()
}

fn name_of(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("desk_{:x}", hasher.finish())
}

/// The server of this process; none where the programs are not installed.
pub(super) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| programs().map(|programs| start(&programs))).as_ref()
}

/// The newest of Debian's.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let found = versions.map(|version| version.path().join("bin"));
    found.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max()
}

fn start(programs: &Path) -> Server {
    let folder = tempfile::Builder::new().prefix("gc-pg").tempdir_in("/tmp").unwrap().keep();
    let owner = unprivileged();
    let as_owner = |command: &mut Command| {
        if let Some((user, group)) = owner {
            command.uid(user).gid(group);
        }
    };
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    if let Some((user, group)) = owner {
        std::os::unix::fs::chown(&folder, Some(user), Some(group)).unwrap();
    }
    let mut init = Command::new(programs.join("initdb"));
    init.arg("-D").arg(folder.join("data")).current_dir(&folder);
    init.args(["-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
    as_owner(&mut init);
    let made = init.output().unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "keeper"]).arg(programs).arg(&folder).current_dir(&folder);
    keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    as_owner(&mut keeper);
    let mut keeper = keeper.process_group(0).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "ready\n", "the server does not start");
    Server { socket: folder, _keeper: keeper }
}

/// Of an ordinary user, where we are none: the server refuses to run as the first of users.
fn unprivileged() -> Option<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    of("postgres").or_else(|| of("nobody"))
}
