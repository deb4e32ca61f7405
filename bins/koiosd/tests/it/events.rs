//! Events: each type by what brings it about, in order, replayed, and no more than is kept.

mod stream;

use std::{collections::BTreeSet, thread};

use koios_store::{NewToken, Role, Store, StoreOptions};
use koios_testkit::{CertificateSpec, ServerCertificate, ServerOptions, Stack, start};
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    daemon::{ADMIN, Daemon, Setup, token_hash},
    devices::{add, patch, path_of},
    supervision::{state, wait_for},
};
use stream::{Event, Stream, listen, listen_after, open};

const HOUR: i64 = 60 * 60;

fn path(certificate: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", certificate["id"].as_str().expect("an id"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// The event of that type has exactly the fields that the document shows for it.
#[track_caller]
fn is_documented(event: &Event) {
    let document = crate::openapi::committed();
    let content = &document["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"];
    let example = &content["text/event-stream"]["examples"][&event.name]["value"];
    assert_eq!(keys(&event.data), keys(example), "{}: {}", event.name, event.data);
    for part in ["resource", "certificate", "device", "status", "now_using", "previous_default"] {
        if !event.data[part].is_null() && !example[part].is_null() {
            assert_eq!(keys(&event.data[part]), keys(&example[part]), "{} of {}", part, event.name);
        }
    }
}

#[test]
fn changes_of_certificates_and_devices_are_told_as_they_are_committed() {
    let daemon = Setup::empty().start();
    let mut stream = listen(&daemon);
    assert_eq!(stream.status(), 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(stream.header(name).as_deref(), Some(value), "{name}");
    }
    let first = daemon.generate("First");
    let second = daemon.generate("Second");
    let mut told =
        stream.expect(&["certificate.created", "certificate.default_changed", "certificate.created"]);
    assert_eq!(stream.retry, Some(3000));
    assert_eq!(told[0].data["certificate"], first);
    assert_eq!(told[0].data["resource"], json!({ "id": first["id"], "name": "First" }));
    assert_eq!(told[1].data["previous_default"], Value::Null);
    assert_eq!(told[2].data["certificate"], second);

    let device = add(
        &daemon,
        &json!({ "name": "Press", "endpoint_url": "opc.tcp://127.0.0.1:9", "security_mode": "sign" }),
    );
    daemon.put(&path(&second, "/devices"), &json!({ "assign": [device["id"]] })).expect(200);
    told.extend(stream.expect(&["device.created", "device.updated"]));
    assert_eq!(told[3].data["device"]["revision"], 1);
    assert_eq!(told[4].data["device"]["certificate_id"], second["id"]);
    assert_eq!(told[4].data["device"]["revision"], 2);

    // What changes nothing is not told: dry runs, refusals, the same again.
    daemon.post(&path(&second, "/regenerate?dry_run=true"), &json!({})).expect(200);
    daemon.delete(&path(&first, "")).expect_problem(409, "default_certificate_required");
    patch(&daemon, &device, &json!({ "name": "Press" })).expect(200);

    let renamed = daemon.call("PATCH", &path(&second, ""));
    renamed.bytes("application/merge-patch+json", r#"{"name":"Renamed"}"#).send().expect(200);
    let regenerated = daemon.post(&path(&second, "/regenerate"), &json!({})).expect(200);
    daemon.put("certificates/default", &json!({ "id": second["id"] })).expect(200);
    daemon.put("certificates/default", &json!({ "id": first["id"] })).expect(200);
    told.extend(stream.expect(&[
        "certificate.updated",
        "certificate.regenerated",
        "certificate.default_changed",
        "certificate.default_changed",
    ]));
    assert_eq!(told[5].resource(), "Renamed");
    assert_eq!(told[6].data["previous_thumbprint_sha256"], second["thumbprint_sha256"]);
    assert_eq!(told[6].data["thumbprint_sha256"], regenerated["certificate"]["thumbprint_sha256"]);
    assert_eq!(told[6].data["certificate"]["revision"], regenerated["certificate"]["revision"]);
    assert_eq!(
        (&told[6].data["reason"], &told[6].data["affected_devices"]),
        (&json!("regenerated"), &json!([device["id"]]))
    );
    assert_eq!(told[8].data["previous_default"], json!({ "id": second["id"], "name": "Renamed" }));

    daemon.delete(&path(&second, "")).expect(200);
    assert_eq!(daemon.delete(&path_of(&device)).status, 204);
    told.extend(stream.expect(&["device.updated", "certificate.deleted", "device.deleted"]));
    assert_eq!(told[10].data["reassigned_devices"], json!([device["id"]]));
    assert_eq!(told[10].data["now_using"], json!({ "id": first["id"], "name": "First" }));
    assert_eq!(told[11].data["resource"], json!({ "id": device["id"], "name": "Press" }));

    let import = json!({ "version": 1, "devices": [
        { "name": "A", "endpoint_url": "opc.tcp://127.0.0.1:9" }, { "name": "B", "endpoint_url": "opc.tcp://127.0.0.1:9" }
    ] });
    daemon.post("devices/import", &import).expect(200);
    told.extend(stream.expect(&["device.created", "device.created"]));
    assert!(told.is_sorted_by(|one, next| one.id < next.id), "{told:?}");
    told.iter().for_each(is_documented);
}

#[test]
fn what_a_server_does_is_told_after_the_change_that_brought_it_about() {
    let daemon = Setup::empty().start();
    let mut stream = listen(&daemon);
    let certificate = daemon.generate("A");
    let der = daemon.get(&path(&certificate, "/certificate.der")).body;
    let options = ServerOptions { trusted: vec![der], ..ServerOptions::default() };
    let mut server = start(Stack::AsyncOpcua, options).expect("always there");
    let device = add(
        &daemon,
        &json!({
            "name": "Press", "endpoint_url": server.endpoint_url, "security_mode": "sign_and_encrypt", "scan_rate_seconds": 0.1,
            "timeout_seconds": 30, "enabled": true
        }),
    );
    let of_device = |event: &Event| {
        event.data["resource"]["id"] == device["id"] || event.data["device"]["id"] == device["id"]
    };
    let until = |stream: &mut Stream, wanted: &dyn Fn(&Event) -> bool| {
        let mut told = Vec::new();
        loop {
            let event = stream.next().expect("more events");
            if of_device(&event) {
                is_documented(&event);
                let found = wanted(&event);
                told.push(event);
                if found {
                    return told;
                }
            }
        }
    };
    let running = |event: &Event| event.data["status"]["state"] == "running";
    let told = until(&mut stream, &running);
    let position = |name: &str| {
        told.iter().position(|event| event.name == name).unwrap_or_else(|| panic!("{name}: {told:?}"))
    };
    assert_eq!(position("device.created"), 0);
    let seen = &told[position("server_certificate.seen")];
    assert_eq!(seen.data["certificate"]["thumbprint_sha256"], server.certificate().sha256());
    assert_eq!(seen.data["endpoint_url"], server.endpoint_url);
    let pinned = &told[position("device.updated")];
    assert_eq!(pinned.data["device"]["pinned_thumbprint_sha256"], server.certificate().sha256());
    let status = &told.last().expect("the last").data["status"];
    assert_eq!(status["server_certificate_thumbprint_sha256"], server.certificate().sha256());

    let known = server.certificate().sha256();
    server.replace_certificate(ServerCertificate::Replaced);
    let failed = |event: &Event| event.data["status"]["error_code"] == "server_certificate_changed";
    let told = until(&mut stream, &failed);
    let one = |name: &str| {
        let events: Vec<_> = told.iter().filter(|event| event.name == name).collect();
        let [event] = events.as_slice() else { panic!("{name}: {told:?}") };
        event.data.clone()
    };
    let changed = one("server_certificate.changed");
    assert_eq!(
        (&changed["previous_thumbprint_sha256"], &changed["pinned_thumbprint_sha256"]),
        (&json!(known), &json!(known))
    );
    assert_eq!(changed["resource"]["id"], server.certificate().sha256());
    let rejected = one("server_certificate.rejected");
    assert_eq!(
        (&rejected["reason_code"], &rejected["device"]["name"]),
        (&json!("server_certificate_changed"), &json!("Press"))
    );

    daemon.post(&format!("{}/disable", path_of(&device)), &json!({})).expect(200);
    until(&mut stream, &|event| event.data["status"]["state"] == "stopped");
}

#[test]
fn the_newest_state_of_a_device_is_always_told() {
    let daemon = Setup::empty().start();
    let mut stream = listen(&daemon);
    let mut devices = Vec::new();
    for number in 0..20 {
        let device =
            json!({ "name": format!("{number}"), "endpoint_url": "opc.tcp://127.0.0.1:1", "enabled": true });
        devices.push(add(&daemon, &device));
    }
    for device in &devices {
        wait_for(&daemon, device, state("failed"));
        daemon.post(&format!("{}/disable", path_of(device)), &json!({})).expect(200);
    }
    let mut left: BTreeSet<_> =
        devices.iter().map(|device| device["id"].as_str().unwrap().to_owned()).collect();
    while !left.is_empty() {
        let event = stream.next_of("device.status_changed");
        if event.data["status"]["state"] == "stopped" {
            left.remove(event.data["resource"]["id"].as_str().unwrap());
        }
    }
}

#[test]
fn whoever_comes_back_is_told_exactly_what_it_missed() {
    let daemon = Setup::empty().start();
    let mut whole = listen(&daemon);
    // Knows where to go on although it has seen nothing yet.
    let mut silent = listen(&daemon);
    thread::scope(|scope| {
        for worker in 0..4 {
            let daemon = &daemon;
            scope.spawn(move || {
                let device = json!({ "name": format!("{worker}"), "endpoint_url": "opc.tcp://127.0.0.1:9" });
                let device = add(daemon, &device);
                for round in 0..10 {
                    patch(daemon, &device, &json!({ "description": format!("{round}") })).expect(200);
                }
            });
        }
    });
    let told: Vec<_> = (0..44).map(|_| whole.next().expect("an event")).collect();
    assert!(told.windows(2).all(|pair| pair[1].id == pair[0].id + 1), "without gaps");
    for worker in 0..4 {
        let of_device = told.iter().filter(|event| event.resource() == format!("{worker}"));
        let revisions: Vec<_> =
            of_device.map(|event| event.data["device"]["revision"].as_u64().unwrap()).collect();
        assert_eq!(revisions, (1..=11).collect::<Vec<_>>(), "in the order of the commits");
    }
    let again = |stream: &mut Stream, count: usize| {
        (0..count).map(|_| stream.next().expect("an event")).collect::<Vec<_>>()
    };
    let mut back = listen_after(&daemon, &told[9].id.to_string());
    assert_eq!(again(&mut back, 34), told[10..]);
    let query = format!("?last_event_id={}", told[41].id);
    let mut back = open(&daemon, &query, &[("Authorization", &format!("Bearer {ADMIN}"))]);
    assert_eq!(again(&mut back, 2), told[42..]);

    assert_eq!(again(&mut silent, 1), told[..1]);
    let opened_at = told[0].id - 1;
    let mut fresh = listen_after(&daemon, &opened_at.to_string());
    assert_eq!(again(&mut fresh, 44), told, "what an opening says can be come back to");
}

#[test]
fn whoever_missed_more_than_is_kept_is_told_to_reload() {
    let setup = Setup::empty();
    let daemon = setup.start();
    let mut stream = listen(&daemon);
    let one = |number: usize| json!({ "name": format!("{number}"), "endpoint_url": "opc.tcp://127.0.0.1:9" });
    add(&daemon, &one(0));
    let first = stream.next().expect("an event");
    for text in ["0", "nonsense", "-1", &(first.id + 1).to_string(), &u64::MAX.to_string()] {
        let reset = listen_after(&daemon, text).next().expect("an event");
        assert_eq!(
            (reset.name.as_str(), &reset.data["resource"], reset.id),
            ("reset", &Value::Null, first.id),
            "{text}"
        );
        is_documented(&reset);
    }
    // More than is kept, in one commit.
    let devices: Vec<_> = (1..=1_100).map(one).collect();
    daemon.post("devices/import", &json!({ "version": 1, "devices": devices })).expect(200);
    while stream.last_id != Some(first.id + 1_100) {
        stream.next().expect("an event");
    }
    let reset = listen_after(&daemon, &first.id.to_string()).next().expect("an event");
    assert_eq!(reset.name, "reset");
    assert_eq!(reset.id, first.id + 1_100);
    let kept = listen_after(&daemon, &(reset.id - 1_024).to_string()).next().expect("an event");
    assert_eq!((kept.name.as_str(), kept.id), ("device.created", reset.id - 1_023));
    let mut after = listen_after(&daemon, &reset.id.to_string());

    // After a restart everything that is kept is new.
    daemon.stop();
    assert_eq!(after.next(), None);
    let daemon = setup.start();
    let again = listen_after(&daemon, &reset.id.to_string()).next().expect("an event");
    assert_eq!(again.name, "reset");
    let mut fresh = listen(&daemon);
    add(&daemon, &one(2_000));
    assert!(fresh.next().expect("an event").id > reset.id);
}

#[test]
fn a_reader_that_falls_behind_reloads_and_holds_nobody_up() {
    let daemon = Setup::empty().start();
    let mut slow = listen(&daemon);
    let mut quick = listen(&daemon);
    // Longer than any buffer between the two.
    let endpoint = |number: usize| format!("opc.tcp://127.0.0.1:9/{}{number}", "x".repeat(3_900));
    let (rounds, devices) = (20, 200);
    for round in 0..rounds {
        let devices: Vec<_> = (0..devices)
            .map(|number| json!({ "name": format!("{round} {number}"), "endpoint_url": endpoint(number) }))
            .collect();
        daemon.post("devices/import", &json!({ "version": 1, "devices": devices })).expect(200);
        (0..200).for_each(|_| assert_eq!(quick.next().expect("an event").name, "device.created"));
    }
    let newest = quick.last_id.expect("an id");
    let mut told = Vec::new();
    while told.last().is_none_or(|(id, _)| *id < newest) {
        let event = slow.next().expect("an event");
        told.push((event.id, event.name));
    }
    assert!(told.iter().any(|(_, name)| name == "reset"), "{} events of {}", told.len(), rounds * devices);
    assert!(told.is_sorted_by(|one, next| one.0 <= next.0));
}

#[test]
fn a_ticket_opens_one_stream_in_place_of_a_token() {
    let setup = Setup::empty();
    setup.start().stop();
    setup.add_tokens();
    let daemon = setup.start();
    let ask = |token: &str| daemon.call("POST", "events/ticket").token(token).send();
    let answer = ask("viewer");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.expect(200);
    assert_eq!(body["expires_in_seconds"], 30);
    assert!(body["expires_at"].is_string());
    let ticket = body["ticket"].as_str().expect("a ticket");
    assert_eq!(ticket.len(), 43, "256 bits");
    let mut stream = open(&daemon, &format!("?ticket={ticket}"), &[]);
    assert_eq!(stream.status(), 200);
    daemon.generate("A");
    stream.next_of("certificate.created");
    assert_eq!(open(&daemon, &format!("?ticket={ticket}"), &[]).status(), 401, "once");
    assert_eq!(
        open(&daemon, &format!("?ticket={ticket}"), &[("Authorization", "Bearer viewer")]).status(),
        401
    );

    let fresh = || ask("viewer").expect(200)["ticket"].as_str().expect("a ticket").to_owned();
    let position = stream.last_id.expect("an id");
    let query = format!("?ticket={}&last_event_id={}", fresh(), position - 1);
    assert_eq!(open(&daemon, &query, &[]).next().expect("an event").id, position);
    // It opens a stream and nothing else, and a stream is opened by nothing else.
    let elsewhere = daemon.call("GET", &format!("certificates?ticket={}", fresh())).without_token();
    elsewhere.send().expect_problem(401, "unauthenticated");
    let head = daemon.call("HEAD", &format!("events?ticket={}", fresh())).without_token().send();
    assert_eq!(head.status, 401);
    for (query, token) in
        [("", None), ("?ticket=", None), ("?ticket=abc", None), ("", Some("Bearer expired"))]
    {
        let headers: Vec<_> = token.into_iter().map(|token| ("Authorization", token)).collect();
        assert_eq!(open(&daemon, query, &headers).status(), 401, "{query} {token:?}");
    }
    daemon.call("POST", "events/ticket").without_token().send().expect_problem(401, "unauthenticated");
    ask("expired").expect_problem(401, "unauthenticated");
    let with_ticket = daemon.call("POST", &format!("events/ticket?ticket={}", fresh()));
    with_ticket.send().expect_problem(422, "invalid_field");
    assert!(!daemon.log().contains(ticket), "no ticket stands in the log");
}

#[test]
fn the_stream_is_strict_about_how_it_is_asked_for() {
    let daemon = Setup::empty().start();
    let authorization = format!("Bearer {ADMIN}");
    for query in ["?page=1", "?last_event_id=1&last_event_id=2", "?last_event_id=%ff"] {
        let stream = open(&daemon, query, &[("Authorization", &authorization)]);
        assert_eq!(stream.status(), 422, "{query}");
    }
    daemon.call("POST", "events").send().expect_problem(405, "method_not_allowed");
    daemon.get("events/ticket").expect_problem(405, "method_not_allowed");
    daemon.get("events/more").expect_problem(404, "not_found");
    let head = daemon.call("HEAD", "events").send();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
}

#[test]
fn streams_are_bounded_and_end_in_order_when_the_daemon_stops() {
    let daemon = Setup::empty().start();
    let mut streams: Vec<Stream> = (0..64).map(|_| listen(&daemon)).collect();
    assert!(streams.iter().all(|stream| stream.status() == 200));
    let refused = listen(&daemon);
    assert_eq!(refused.status(), 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("content-type").as_deref(), Some("application/problem+json"));
    assert!(daemon.get("/metrics").text().contains("koios_event_streams 64"));
    // All others are served meanwhile, and one that goes away makes room.
    daemon.generate("A");
    for stream in &mut streams {
        stream.next_of("certificate.created");
    }
    streams.pop();
    let mut another = listen(&daemon);
    while another.status() == 429 {
        another = listen(&daemon);
    }
    streams.push(another);
    daemon.signal("TERM");
    for stream in &mut streams {
        while stream.next().is_some() {}
    }
    let (status, _) = daemon.wait();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_stream_ends_with_its_token() {
    let Some((setup, clock)) = Clock::before(Setup::empty()) else { return };
    setup.start().stop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(StoreOptions::new(setup.data_dir())).await.expect("the data directory opens");
        let mut short = NewToken::new("short", Role::Viewer, token_hash("short"));
        short.expires_at = Some(time::OffsetDateTime::now_utc() + time::Duration::HOUR);
        store.create_token(short).await.expect("a token");
        store.close().await;
    });
    let daemon = setup.start();
    let mut stream = open(&daemon, "", &[("Authorization", "Bearer short")]);
    let ticket = |token: &str| daemon.call("POST", "events/ticket").token(token).send().expect(200);
    let ticket = ticket("short")["ticket"].as_str().expect("a ticket").to_owned();
    let mut other = listen(&daemon);
    let (revoked, id) = crate::tokens::made(&daemon, "viewer");
    let mut revoked = open(&daemon, "", &[("Authorization", &format!("Bearer {revoked}"))]);
    daemon.generate("A");
    stream.next_of("certificate.created");
    revoked.next_of("certificate.created");
    assert_eq!(daemon.delete(&format!("tokens/{id}")).status, 204);
    while revoked.next().is_some() {}
    clock.set(2 * HOUR);
    while stream.next().is_some() {}
    assert_eq!(open(&daemon, &format!("?ticket={ticket}"), &[]).status(), 401);
    daemon.generate("B");
    while other.next_of("certificate.created").resource() != "B" {}
    assert!(other.comments > 0, "something was said meanwhile");
}

/// Uploads a pair that ends in so many days.
fn upload(daemon: &Daemon, name: &str, days: i64) -> Value {
    let now = time::OffsetDateTime::now_utc();
    let spec = CertificateSpec {
        not_before: now - time::Duration::days(400),
        not_after: now + time::Duration::days(days) + time::Duration::HOUR,
        ..CertificateSpec::application(&format!("urn:plant:{name}"))
    };
    let made = spec.make();
    let fields =
        [("name", name.as_bytes()), ("certificate", made.der()), ("private_key", made.key_pem().as_bytes())];
    daemon.call("POST", "certificates/upload").form(&fields).send().expect(201)
}

#[test]
fn certificates_that_end_are_told_once_over_restarts_and_clocks() {
    let Some((setup, clock)) = Clock::before(Setup::empty()) else { return };
    let setup = setup.with_environment("KOIOS_EXPIRY_WARNING_DAYS", "30, 7,1");
    let daemon = setup.start();
    let mut stream = listen(&daemon);
    daemon.generate("Long");
    stream.expect(&["certificate.created", "certificate.default_changed"]);
    let near = upload(&daemon, "near", 20);
    let told = stream.expect(&["certificate.created", "certificate.expiring"]);
    assert_eq!((&told[1].data["threshold_days"], &told[1].data["expires_in_days"]), (&json!(30), &json!(20)));
    assert_eq!(told[1].data["resource"], json!({ "id": near["id"], "name": "near" }));
    assert_eq!(told[1].data["device_count"], 0);
    let over = upload(&daemon, "over", -3);
    let told_over = stream.expect(&["certificate.created", "certificate.expired"]);
    assert_eq!(told_over[1].data["expires_in_days"], -3);
    told.iter().chain(&told_over).for_each(is_documented);
    daemon.wait_for_log("a certificate expires soon");
    daemon.wait_for_log("a certificate has expired");
    let metrics = daemon.get("/metrics").text();
    for line in ["{threshold_days=\"30\"} 1", "{threshold_days=\"7\"} 0", "{threshold_days=\"0\"} 1"] {
        let line = format!("koios_certificate_expiry_warnings_total{line}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    daemon.stop();

    // Two thresholds pass while it is off: the nearest is told, after which a start has nothing to repeat.
    clock.set(20 * 24 * HOUR);
    let daemon = setup.start();
    daemon.wait_for_log("expires_in_days=0");
    let warnings = |daemon: &Daemon| daemon.log().matches("a certificate expires soon").count();
    assert_eq!(warnings(&daemon), 2);
    daemon.stop();
    let daemon = setup.start();
    let mut stream = listen(&daemon);
    // Another pair in its place is warned of anew: by then the start's own look has ended.
    daemon.post(&path(&over, "/regenerate"), &json!({ "validity_days": 5 })).expect(200);
    let told = stream.expect(&["certificate.regenerated", "certificate.expiring"]);
    assert_eq!((told[1].resource(), &told[1].data["threshold_days"]), ("over", &json!(7)));
    assert_eq!(warnings(&daemon), 3);
}
