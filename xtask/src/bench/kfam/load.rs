//! Clients that ask as fast as they are answered, each on a connection of its own that is kept open. They are plain threads, so
//! that they take as little as possible of the cores that they share with who answers.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

/// A measurement that takes longer to begin has failed.
const DEADLINE: Duration = Duration::from_secs(300);

/// Who is asked.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: String,
}

/// What came of it.
pub(super) struct Load {
    pub(super) requests: usize,
    pub(super) elapsed: Duration,
    /// How long each request took, sorted.
    pub(super) latencies: Vec<Duration>,
    /// How long one answer is, in bytes.
    pub(super) bytes: usize,
}

/// Waits until an answer has so many bindings.
pub(super) fn until_complete(target: &Target, path: &str, bindings: usize) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    loop {
        let answered = Connection::open(target).and_then(|mut connection| connection.get(target, path));
        let found = answered.as_ref().map_or(0, |body| count(body, "\"referredNamespace\""));
        if found == bindings {
            return Ok(begin.elapsed());
        }
        if begin.elapsed() > DEADLINE {
            bail!("{found} of {bindings} bindings after {DEADLINE:?}: {:?}", answered.err());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Asks for a while on so many connections; `path` tells what the request of a number asks for.
pub(super) fn measure(
    target: &Target,
    connections: usize,
    duration: Duration,
    path: &(dyn Fn(usize) -> String + Sync),
) -> anyhow::Result<Load> {
    let begin = Instant::now();
    let results: Vec<anyhow::Result<(Vec<Duration>, usize)>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|client| {
                scope.spawn(move || {
                    let mut connection = Connection::open(target)?;
                    let (mut latencies, mut bytes) = (Vec::new(), 0);
                    let mut number = client * 7919;
                    while begin.elapsed() < duration {
                        let path = path(number);
                        let asked = Instant::now();
                        bytes = connection.get(target, &path)?.len();
                        latencies.push(asked.elapsed());
                        number += 1;
                    }
                    Ok((latencies, bytes))
                })
            })
            .collect();
        let joined = clients.into_iter().map(|client| client.join());
        joined.map(|result| result.unwrap_or_else(|_| bail!("a client panicked"))).collect()
    });
    let elapsed = begin.elapsed();
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    for result in results {
        let (of_client, length) = result?;
        latencies.extend(of_client);
        bytes = length;
    }
    latencies.sort_unstable();
    Ok(Load { requests: latencies.len(), elapsed, latencies, bytes })
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&target.address).with_context(|| target.address.clone())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Asks as the dashboard does; the body of the answer.
    fn get(&mut self, target: &Target, path: &str) -> anyhow::Result<Vec<u8>> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n\
             x-forwarded-client-cert: By=spiffe://cluster.local/ns/kubeflow/sa/kfam;Hash=0a1b2c;Subject=\"\";URI=spiffe://cluster.local/ns/kubeflow/sa/dashboard\r\n\r\n",
            target.address
        );
        self.stream.write_all(request.as_bytes())?;
        self.buffer.clear();
        let head = loop {
            self.fill()?;
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        ensure!(text.starts_with("http/1.1 200"), "{path}: {text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        match length {
            Some(length) => {
                let length: usize = length;
                while self.buffer.len() < head + length {
                    self.fill()?;
                }
            }
            None => {
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    self.fill()?;
                }
            }
        }
        let body = &self.buffer[head..];
        if length.is_some() { Ok(body.to_vec()) } else { unchunked(body) }
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        let before = self.buffer.len();
        self.buffer.resize(before + 64 * 1024, 0);
        let read = self.stream.read(&mut self.buffer[before..])?;
        self.buffer.truncate(before + read);
        ensure!(read > 0, "the connection was closed");
        Ok(())
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn unchunked(mut text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(text, b"\r\n").context("a chunk without a length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&text[..line])?, 16)?;
        if length == 0 {
            return Ok(body);
        }
        let begin = line + 2;
        body.extend_from_slice(text.get(begin..begin + length).context("a chunk that is cut off")?);
        text = text.get(begin + length + 2..).context("a chunk without an end")?;
    }
}

fn count(text: &[u8], part: &str) -> usize {
    String::from_utf8_lossy(text).matches(part).count()
}
