//! axum and reqwest; what they serve and ask for: tests/host/reach/mod.rs.
//!
//!     apps server PORT        serves, and logs to $ACCESS_LOG
//!     apps client BASE PLAN   asks for what the file PLAN says

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "server", port] => serve(port.parse()?).await,
        [_, "client", base, plan] => ask(base, plan).await,
        _ => Err("usage: apps server PORT | apps client BASE PLAN".into()),
    }
}

async fn serve(port: u16) -> Result<(), Failure> {
    let path = std::env::var("ACCESS_LOG")?;
    let log = Arc::new(OpenOptions::new().create(true).append(true).open(path)?);
    let app = Router::new().fallback(answer).with_state(log);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, app).await?)
}

async fn answer(State(log): State<Arc<File>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(sent) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (method, path) = (head.method.as_str(), head.uri.path());
    let kind = path.split('/').nth(1).unwrap_or("");
    let (status, size, response) = match kind {
        "small" => whole(200, 200),
        "large" => whole(200, 1 << 20),
        "chunks" => pieces(3, 100),
        "stream" => pieces(200, 1000),
        "echo" => whole(200, sent.len()),
        _ => whole(404, 9),
    };
    let size = if method == "HEAD" { 0 } else { size };
    let line = format!("{method} {path} {status} {size} {} 0 0\n", sent.len());
    match (&*log).write_all(line.as_bytes()) {
        Ok(()) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn whole(status: u16, size: usize) -> (u16, usize, Response) {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, size, (code, "x".repeat(size)).into_response())
}

/// A chunked answer.
fn pieces(count: usize, size: usize) -> (u16, usize, Response) {
    let body = stream::iter((0..count).map(move |_| io::Result::Ok(Bytes::from("x".repeat(size)))));
    (200, count * size, Body::from_stream(body).into_response())
}

async fn ask(base: &str, plan: &str) -> Result<(), Failure> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    for line in std::fs::read_to_string(plan)?.lines() {
        let [method, path, size, how] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err(format!("no request: {line}").into());
        };
        let count: usize = size.parse()?;
        let mut request = client.request(method.parse()?, format!("{base}{path}"));
        request = match (how, count) {
            ("chunked", _) => request.body(chunked(count)),
            (_, 0) => request,
            _ => request.body("b".repeat(count)),
        };
        if how == "close" {
            request = request.header("connection", "close");
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        println!("{method} {path} {status} {} {size} 0 0", response.bytes().await?.len());
    }
    Ok(())
}

/// A body of `count` bytes in two pieces of a length that nobody knows before.
fn chunked(count: usize) -> reqwest::Body {
    let pieces = [count / 2, count - count / 2].map(|size| io::Result::Ok("b".repeat(size)));
    reqwest::Body::wrap_stream(stream::iter(pieces))
}
