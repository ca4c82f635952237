//! An open-loop HTTP client: sends each request at its time, whatever is under way, and notes when its tokens come.
//!
//! It does what `vllm bench serve` does (`vllm/benchmarks/lib/endpoint_request_func.py`): connections are kept and
//! used again, the clock starts before a request is handed to the connection, and a token has come when the chunk with
//! it has been received. It is not Python, so it is quicker to send and to receive.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

use super::client_run::{ClientRequest, ClientRun, TimedRequest};
use super::sse::{Event, EventReader};

/// Most requests of one run.
const MAX_REQUESTS: usize = 100_000;

/// Most bytes read of an answer that is an error.
const MAX_ERROR_BYTES: usize = 2000;

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of the machine share.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}

/// A client with its connections.
#[derive(Debug)]
pub(crate) struct OpenLoopClient {
    runtime: Runtime,
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
    /// A request that takes longer has failed.
    request_timeout: Duration,
}

impl OpenLoopClient {
    /// A client of the server at `address`, which must be of this machine: the clocks of two machines are not one.
    ///
    /// # Errors
    /// If the address is not a loopback address, or the system refuses.
    pub(crate) fn new(address: SocketAddr, request_timeout: Duration) -> Result<Self> {
        ensure!(address.ip().is_loopback(), "{address} is not of this machine");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the client")?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self { runtime, client, address, request_timeout })
    }

    /// Sends `requests`, whose times do not decrease, and waits for all of them. Ids begin with `id`, and nothing
    /// cached for other ids is found.
    ///
    /// # Errors
    /// If there are too many requests. A request that fails says so in its own [`ClientRequest::error`].
    pub(crate) fn run(&self, id: &str, requests: &[TimedRequest]) -> Result<ClientRun> {
        ensure!(requests.len() <= MAX_REQUESTS, "{} requests; the limit is {MAX_REQUESTS}", requests.len());
        let made = requests.iter().enumerate().map(|(index, request)| self.request(&format!("{id}-{index}"), request));
        let mut made = made.map(|request| request.map(Some)).collect::<Result<Vec<_>>>()?;
        let times: Vec<u64> = requests.iter().map(|request| request.at_ns).collect();
        // A little later, so that the first is on time, too.
        let origin_ns = monotonic_ns() + 2_000_000;
        let (due, mut is_due) = unbounded_channel();
        // tokio's timer counts milliseconds, a sleeping thread does not.
        let clock = thread::spawn(move || {
            for (index, at_ns) in times.into_iter().enumerate() {
                let wait = (origin_ns + at_ns).saturating_sub(monotonic_ns());
                thread::sleep(Duration::from_nanos(wait));
                if due.send(index).is_err() {
                    return;
                }
            }
        });
        let seen = self.runtime.block_on(async {
            let mut under_way = JoinSet::new();
            while let Some(index) = is_due.recv().await {
                let Some(request) = made.get_mut(index).and_then(Option::take) else { continue };
                let (client, timeout) = (self.client.clone(), self.request_timeout);
                under_way.spawn(async move { (index, exchange(client, request, timeout).await) });
            }
            let mut seen = vec![ClientRequest::default(); made.len()];
            while let Some(joined) = under_way.join_next().await {
                if let Ok((index, request)) = joined {
                    seen[index] = request;
                }
            }
            seen
        });
        drop(clock.join());
        Ok(ClientRun { origin_ns, requests: seen })
    }

    fn request(&self, id: &str, request: &TimedRequest) -> Result<Request<Full<Bytes>>> {
        let body = json!({
            "prompt": request.prompt_token_ids,
            "max_tokens": request.max_tokens,
            "temperature": 0.0,
            "ignore_eos": true,
            "stream": true,
            // A chunk says how many tokens there are: a busy server puts several into one.
            "stream_options": {"include_usage": true, "continuous_usage_stats": true},
            "request_id": id,
            // Of every run its own, so that its blocks are found by nobody else.
            "cache_salt": id.split('-').next(),
        });
        Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}/v1/completions", self.address))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .context("a request")
    }
}

async fn exchange(
    client: Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    timeout: Duration,
) -> ClientRequest {
    let mut seen = ClientRequest { send_ns: monotonic_ns(), ..ClientRequest::default() };
    let result = tokio::time::timeout(timeout, receive(client, request, &mut seen.chunks)).await;
    seen.error = match result {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => Some(format!("not finished after {} s", timeout.as_secs())),
    };
    seen
}

async fn receive(
    client: Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
    chunks: &mut Vec<(u64, u32)>,
) -> Result<(), String> {
    let response = client.request(request).await.map_err(|error| chain(&error))?;
    let status = response.status();
    let mut body = response.into_body();
    let (mut reader, mut failure, mut is_done) = (EventReader::default(), vec![], false);
    let (mut told, mut num_tokens) = (None, 0);
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|error| chain(&error))?.into_data() else { continue };
        let now = monotonic_ns();
        if status != StatusCode::OK {
            failure.extend_from_slice(&bytes[..bytes.len().min(MAX_ERROR_BYTES.saturating_sub(failure.len()))]);
            continue;
        }
        reader.read(&bytes, |event| match event {
            Event::Tokens(count) => {
                let total = count.unwrap_or(num_tokens + 1);
                // A chunk with the reason of the end alone brings no token.
                if total > num_tokens {
                    chunks.push((now, total - num_tokens));
                    num_tokens = total;
                }
            }
            Event::Error(error) => told = Some(error),
            Event::Done => is_done = true,
        })?;
    }
    match told {
        Some(error) => Err(error),
        None if status != StatusCode::OK => Err(format!("{status}: {}", String::from_utf8_lossy(&failure))),
        None if !is_done => Err("the answer broke off".to_owned()),
        None => Ok(()),
    }
}

/// An error with its causes: hyper's own says only where.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::{Ipv4Addr, TcpListener};
    use std::pin::Pin;
    use std::task::Poll;

    use axum::Router;
    use axum::body::Body;
    use axum::http::Response;
    use axum::routing::post;
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;

    /// Bytes that come when they are sent.
    struct Paced(UnboundedReceiver<Bytes>);

    impl hyper::body::Body for Paced {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(hyper::body::Frame::data(bytes))))
        }
    }

    /// Answers with `max_tokens` tokens: the first `FIRST` after the request, the others `GAP` apart. A prompt that
    /// begins with 400 is refused, one that begins with 500 breaks off after one token.
    async fn complete(body: String) -> Response<Body> {
        let asked: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        if asked["prompt"][0] == 400 {
            return Response::builder().status(400).body(Body::from("too long")).expect("an answer");
        }
        let is_broken = asked["prompt"][0] == 500;
        let num_tokens = asked["max_tokens"].as_u64().expect("a number");
        let (sender, receiver) = unbounded_channel();
        tokio::spawn(async move {
            for token in 1..=num_tokens {
                tokio::time::sleep(if token == 1 { FIRST } else { GAP }).await;
                let event = format!("data: {{\"choices\":[{{}}],\"usage\":{{\"completion_tokens\":{token}}}}}\n\n");
                if sender.send(Bytes::from(event)).is_err() || is_broken {
                    return;
                }
            }
            drop(sender.send(Bytes::from("data: [DONE]\n\n")));
        });
        Response::new(Body::new(Paced(receiver)))
    }

    const FIRST: Duration = Duration::from_millis(60);
    const GAP: Duration = Duration::from_millis(20);

    fn client(request_timeout: Duration) -> OpenLoopClient {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let router = Router::new().route("/v1/completions", post(complete));
                axum::serve(listener, router).await.expect("a server");
            });
        });
        OpenLoopClient::new(address, request_timeout).expect("a client")
    }

    fn request(at_ms: u64, first: u32, max_tokens: u32) -> TimedRequest {
        TimedRequest { at_ns: at_ms * 1_000_000, prompt_token_ids: vec![first, 7], max_tokens }
    }

    #[test]
    fn requests_go_out_at_their_times_whatever_is_under_way() {
        let client = client(Duration::from_secs(10));
        // The first takes 60 + 9 × 20 = 240 ms, so the second and third overtake it.
        let run = client.run("t", &[request(0, 1, 10), request(50, 1, 1), request(100, 1, 3)]).expect("a run");
        let late = |index: usize, at_ms: u64| {
            let lateness = run.requests[index].send_ns - run.origin_ns - at_ms * 1_000_000;
            assert!(lateness < 40_000_000, "request {index} is {lateness} ns late");
        };
        late(0, 0);
        late(1, 50);
        late(2, 100);
        assert!(run.requests[1].chunks[0].0 < run.requests[0].chunks[9].0, "the second ends first");
        let [first, second, third] = &run.requests[..] else { panic!("three requests") };
        assert_eq!([first.num_tokens(), second.num_tokens(), third.num_tokens()], [10, 1, 3]);
        assert_eq!((second.tpot(), second.error.as_deref()), (None, None), "a single token");
        let near = |value: Option<f64>, expected: f64| {
            let value = value.expect("finished");
            assert!((expected - 0.002..expected + 0.1).contains(&value), "{value} instead of {expected}");
        };
        near(first.ttft(), 0.06);
        near(first.e2el(), 0.24);
        near(first.tpot(), 0.02);
        assert_eq!(first.itls().count(), 9);
    }

    #[test]
    fn what_goes_wrong_is_told_per_request() {
        let client = client(Duration::from_millis(400));
        let run = client.run("t", &[request(0, 400, 1), request(0, 500, 3), request(0, 1, 1000), request(1, 1, 1)]);
        let run = run.expect("a run");
        let error = |index: usize| run.requests[index].error.clone().unwrap_or_default();
        assert!(error(0).contains("400") && error(0).contains("too long"), "{}", error(0));
        assert!(error(1).contains("broke off"), "{}", error(1));
        assert!(error(2).contains("not finished"), "{}", error(2));
        assert_eq!(run.requests[3].error, None, "the others go on");
    }

    #[test]
    fn only_this_machine_is_asked() {
        let elsewhere = "192.0.2.1:80".parse().expect("an address");
        let error = OpenLoopClient::new(elsewhere, FIRST).expect_err("another machine");
        assert!(format!("{error}").contains("192.0.2.1"), "{error}");
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error_of_the_request() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let client = OpenLoopClient::new(address, Duration::from_secs(5)).expect("a client");
        let run = client.run("t", &[request(0, 1, 1)]).expect("a run");
        assert!(run.requests[0].error.as_deref().is_some_and(|error| error.contains("onnect")), "{run:?}");
    }
}
