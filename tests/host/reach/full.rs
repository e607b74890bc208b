//! The pairs that need more packages than the other tests: `make test-reach`.

use super::clients::{AIOHTTP, HTTPX, JAVA, JAVA_APPS, REQWEST, WGET};
use super::hold;
use super::languages::{of_site, tell};
use super::sites::{APACHE_EVENT, APACHE_PREFORK, AXUM, HAPROXY, JAVA_HTTP, PHP, PHP_FPM, PUMA};
use crate::turn::{Need, enter};

#[test]
fn apache_with_threads_and_aiohttp_are_told_exactly() {
    hold("apache_with_threads_and_aiohttp_are_told_exactly", &APACHE_EVENT, &AIOHTTP);
}

#[test]
fn apache_with_processes_and_httpx_are_told_exactly() {
    hold("apache_with_processes_and_httpx_are_told_exactly", &APACHE_PREFORK, &HTTPX);
}

#[test]
fn puma_and_reqwest_are_told_exactly() {
    hold("puma_and_reqwest_are_told_exactly", &PUMA, &REQWEST);
}

#[test]
fn php_and_wget_are_told_exactly() {
    hold("php_and_wget_are_told_exactly", &PHP, &WGET);
}

#[test]
fn nginx_before_php_fpm_and_httpx_are_told_exactly() {
    hold("nginx_before_php_fpm_and_httpx_are_told_exactly", &PHP_FPM, &HTTPX);
}

#[test]
fn axum_and_reqwest_are_told_exactly() {
    hold("axum_and_reqwest_are_told_exactly", &AXUM, &REQWEST);
}

#[test]
fn java_and_java_are_told_exactly() {
    hold("java_and_java_are_told_exactly", &JAVA_HTTP, &JAVA);
}

#[test]
fn haproxy_and_java_are_told_exactly() {
    hold("haproxy_and_java_are_told_exactly", &HAPROXY, &JAVA);
}

#[test]
fn further_servers_tell_the_language_that_they_are_written_in() {
    let name = "further_servers_tell_the_language_that_they_are_written_in";
    let needs = [
        Need::Command("java"),
        JAVA_APPS,
        Need::Command("puma"),
        Need::Command("php8.2"),
        Need::Command("apache2"),
        Need::App("rust"),
    ];
    let Some(_turn) = enter(name, &needs) else { return };
    tell(&[
        ("java", || of_site(&JAVA_HTTP)),
        ("java", || of_site(&JAVA_HTTP)),
        ("ruby", || of_site(&PUMA)),
        ("ruby", || of_site(&PUMA)),
        ("php", || of_site(&PHP)),
        ("php", || of_site(&PHP)),
        ("rust", || of_site(&AXUM)),
        ("rust", || of_site(&AXUM)),
        ("generic", || of_site(&APACHE_PREFORK)),
    ]);
}
