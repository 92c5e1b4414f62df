//! A log's files over HTTP, and what witnesses are asked.

use std::time::Duration;

use settlement::tlog::{note::NOTE_BYTES_MAX, walk::LogFiles, witness::REQUEST_BYTES_MAX};
use ureq::Agent;

use crate::exit::Failure;

/// A whole request, from the name's look-up to the last byte.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Longest file of a log: 256 leaves of at most 64 KiB with their lengths.
const FILE_BYTES_MAX: u64 = 256 * (65_535 + 2);

/// A log at a URL.
pub(super) struct Remote {
    agent: Agent,
    base: String,
}

/// What a witness answered.
pub(super) struct Answer {
    /// The status of HTTP.
    pub(super) status: u16,
    /// The body.
    pub(super) text: String,
}

fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(REQUEST_TIME_MAX))
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .new_agent()
}

/// Whether an argument is a URL.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

impl Remote {
    /// The log below `url`.
    pub(super) fn new(url: &str) -> Self {
        Self { agent: agent(), base: url.trim_end_matches('/').to_owned() }
    }
}

impl LogFiles for Remote {
    type Error = ureq::Error;

    fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, ureq::Error> {
        let url = format!("{}/{path}", self.base);
        let mut response = self.agent.get(&url).call()?;
        match response.status().as_u16() {
            200 => {
                let body = response.body_mut().with_config().limit(FILE_BYTES_MAX);
                body.read_to_vec().map(Some)
            }
            404 | 410 => Ok(None),
            status => Err(ureq::Error::StatusCode(status)),
        }
    }
}

/// Asks a witness to cosign.
///
/// # Errors
/// Code 6 where it does not answer.
pub(super) fn add_checkpoint(url: &str, request: &str) -> Result<Answer, Failure> {
    let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
    let failed = |error: ureq::Error| Failure::unreachable(format!("`{url}`: {error}"));
    let limit = u64::try_from(NOTE_BYTES_MAX.max(REQUEST_BYTES_MAX)).unwrap_or(u64::MAX);
    let sent = agent().post(&url).header("content-type", "text/plain").send(request.as_bytes());
    let mut response = sent.map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(limit).read_to_string();
    Ok(Answer { status, text: body.map_err(failed)? })
}
