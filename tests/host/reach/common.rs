//! The pairs that every run of the tests holds to their logs.

use super::clients::{AIOHTTP, HTTPX, WGET};
use super::hold;
use super::sites::{LIGHTTPD, UVICORN, UVICORN_UVLOOP};

#[test]
fn lighttpd_and_wget_are_told_exactly() {
    hold("lighttpd_and_wget_are_told_exactly", &LIGHTTPD, &WGET);
}

#[test]
fn uvicorn_and_httpx_are_told_exactly() {
    hold("uvicorn_and_httpx_are_told_exactly", &UVICORN, &HTTPX);
}

#[test]
fn uvicorn_on_uvloop_and_aiohttp_are_told_exactly() {
    hold("uvicorn_on_uvloop_and_aiohttp_are_told_exactly", &UVICORN_UVLOOP, &AIOHTTP);
}
