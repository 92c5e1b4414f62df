//! `gridcross ledger witness`: a witness as in C2SP tlog-witness, on HTTP.
//!
//! Between reading what was cosigned last and keeping what is cosigned next nothing else happens: one
//! process holds the directory, and one request at a time. What is kept is durable before the answer.

use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use clap::Args;
use ed25519_dalek::SigningKey;
use gateway::identity;
use rustix::fs::{FlockOperation, flock};
use settlement::tlog::{
    note::{self, Note, VerifierKey, is_origin},
    tiles::TileDirectory,
    witness::{Cosigned, REQUEST_BYTES_MAX, Refusal, Request},
};
use sha2::{Digest as _, Sha256};

use super::{damage, verifier_key};
use crate::{clock::Clock, exit::Failure, output, seeds::Seeds};

/// What is kept of a log that misbehaves: enough for some sixty checkpoints. The first ones matter.
const EVIDENCE_BYTES_MAX: u64 = 1 << 20;

/// Options of `ledger witness`.
#[derive(Debug, Args)]
pub struct WitnessOptions {
    /// Directory for what was cosigned, and for evidence; made if it is not there
    state: PathBuf,
    /// File with the witness' signing key; made if it is not there
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The witness' name in its signatures, such as w1.example
    #[arg(long)]
    name: String,
    /// A log that is watched, NAME+ID+KEY; may be repeated
    #[arg(long, value_name = "KEY", value_parser = verifier_key, required = true)]
    log: Vec<VerifierKey>,
    /// Where it listens, HTTP without TLS: put it behind a proxy to reach it from elsewhere
    #[arg(long, default_value = "127.0.0.1:7410")]
    listen: SocketAddr,
}

/// The witness behind the port.
struct Desk {
    state: PathBuf,
    name: String,
    key: SigningKey,
    logs: Vec<VerifierKey>,
    /// Held from reading to keeping.
    turn: Mutex<()>,
    /// Keeps other processes out as long as it is open.
    _lock: File,
}

/// Why there is no answer.
enum Trouble {
    Refused(Refusal),
    /// What was cosigned cannot be read or kept: nothing is cosigned.
    Store(String),
}

/// Runs a witness until a signal asks to stop.
///
/// # Errors
/// Code 1 where the directory is held by another process, 3 for the key.
pub(super) fn run(options: &WitnessOptions) -> Result<(), Failure> {
    if !is_origin(&options.name) {
        return Err(Failure::usage(format!("`{}` cannot name a witness", options.name)));
    }
    let key = load_or_make(&options.key)?;
    let desk = Arc::new(Desk::open(options, key)?);
    let own = VerifierKey::of_witness(&desk.name, desk.key.verifying_key());
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::runtime)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen).await;
        let listener = listener.map_err(Failure::runtime)?;
        let address = listener.local_addr().map_err(Failure::runtime)?;
        output::print(&format!("witness {own} http://{address}\n"))?;
        tracing::info!("listening on http://{address} as {own}");
        let router = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(desk);
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped());
        served.await.map_err(Failure::runtime)
    })
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn load_or_make(path: &Path) -> Result<SigningKey, Failure> {
    if !path.exists() {
        let secret = Seeds::beside(&Clock::System).and_then(|mut seeds| seeds.secret());
        let key = SigningKey::from_bytes(&secret.map_err(Failure::runtime)?);
        let pem = identity::signing_key_pem(&key).map_err(Failure::config)?;
        identity::write_key_file(path, &pem).map_err(Failure::config)?;
    }
    identity::load_signing_key(path).map_err(Failure::config)
}

async fn add_checkpoint(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let now = Clock::System.now().ns().div_euclid(1_000_000_000);
    let seconds = u64::try_from(now).unwrap_or(0);
    let done = tokio::task::spawn_blocking(move || desk.add(&body, seconds)).await;
    match done {
        Ok(Ok(line)) => (StatusCode::OK, line).into_response(),
        Ok(Err(Trouble::Refused(refusal))) => {
            let status =
                StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match refusal.size() {
                Some(size) => {
                    let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
                    (status, kind, format!("{size}\n")).into_response()
                }
                None => (status, format!("{refusal}\n")).into_response(),
            }
        }
        Ok(Err(Trouble::Store(what))) => {
            tracing::error!("nothing is cosigned: {what}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Desk {
    fn open(options: &WitnessOptions, key: SigningKey) -> Result<Self, Failure> {
        let state = options.state.clone();
        let (name, logs) = (options.name.clone(), options.log.clone());
        let cannot = |error: std::io::Error| {
            Failure::refused(format!("cannot use `{}`: {error}", state.display()))
        };
        fs::create_dir_all(&state).map_err(cannot)?;
        let lock = File::create(state.join("lock")).map_err(cannot)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let place = state.display();
            Failure::refused(format!("`{place}` is held by another witness"))
        })?;
        let desk =
            Self { state: state.clone(), name, key, logs, turn: Mutex::new(()), _lock: lock };
        for log in &desk.logs {
            fs::create_dir_all(desk.folder(log)).map_err(cannot)?;
            desk.last(log).map_err(Failure::mismatch)?;
        }
        // The directories must be there before anything in them is promised.
        File::open(&state).and_then(|folder| folder.sync_all()).map_err(cannot)?;
        Ok(desk)
    }

    /// Where what is known of a log is kept: by its origin, of which there is one state whatever key.
    fn folder(&self, log: &VerifierKey) -> PathBuf {
        let hash: [u8; 32] = Sha256::digest(log.name.as_bytes()).into();
        self.state.join(types::Digest::new(hash).to_string())
    }

    /// What was cosigned last of a log.
    fn last(&self, log: &VerifierKey) -> Result<Option<(Cosigned, String)>, String> {
        let text = TileDirectory::new(&self.folder(log), 0).read_checkpoint();
        let Some(text) = text.map_err(|error| damage(&error).message().to_owned())? else {
            return Ok(None);
        };
        let note = Note::parse(&text).map_err(|error| error.to_string())?;
        Ok(Some((Cosigned { size: note.size, root: note.root }, text)))
    }

    fn add(&self, body: &[u8], seconds: u64) -> Result<String, Trouble> {
        let text = std::str::from_utf8(body).map_err(|_| Trouble::Refused(Refusal::Malformed))?;
        let request = Request::parse(text).map_err(Trouble::Refused)?;
        let log = request.log(&self.logs).map_err(Trouble::Refused)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.last(log).map_err(Trouble::Store)?;
        if let Err(refusal) = request.judge(last.as_ref().map(|(cosigned, _)| cosigned)) {
            if refusal.is_evidence() {
                let before = last.as_ref().map_or("", |(_, text)| text.as_str());
                self.keep_evidence(log, refusal, (before, text), seconds)
                    .map_err(Trouble::Store)?;
            }
            return Err(Trouble::Refused(refusal));
        }
        let line = note::cosign(&self.name, &self.key, seconds, request.note.text);
        let kept = TileDirectory::new(&self.folder(log), 0).write_checkpoint(request.note_text);
        kept.map_err(|error| Trouble::Store(damage(&error).message().to_owned()))?;
        Ok(line)
    }

    /// What the log signed before, and what it signed now: together they show what it did.
    fn keep_evidence(
        &self,
        log: &VerifierKey,
        refusal: Refusal,
        (before, request): (&str, &str),
        seconds: u64,
    ) -> Result<(), String> {
        tracing::warn!(log = %log.name, "{refusal}");
        let path = self.folder(log).join("evidence");
        let written = fs::metadata(&path).map_or(0, |known| known.len());
        if written >= EVIDENCE_BYTES_MAX {
            return Ok(());
        }
        let text = format!(
            "== at {seconds}: {refusal}\n== cosigned last:\n{before}== refused request:\n{request}\n"
        );
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    }
}
