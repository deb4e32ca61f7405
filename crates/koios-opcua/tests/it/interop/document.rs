//! `docs/INTEROP.md`: what was seen, for the operator of a plant and for a developer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::{env, fs};

use koios_opcua::Code;
use koios_testkit::{Ability, Stack};

use super::table::{self, Key, Observation};
use super::{Case, Seen, Verdicts, certificates, others, peers, root};

/// The page.
pub(crate) fn render(seen: &[Seen], peers: &Verdicts) -> String {
    let mut page = Page(String::new());
    page.text(INTRODUCTION);
    page.stacks(seen);
    page.text(FOR_OPERATORS);
    page.heading("The client certificate is …");
    page.sentences(certificates::CASES, seen);
    page.heading("It is not the certificate: …");
    page.sentences(others::CASES, seen);
    page.heading("It is no OPC UA server, or it goes no further than this machine: …");
    page.peers(peers);
    page.text(FOR_DEVELOPERS);
    page.heading("What the servers answer");
    page.answers(seen);
    for saw in seen {
        page.heading(&format!("{} ({})", saw.stack, saw.product));
        page.verdicts(&saw.verdicts);
    }
    page.heading("Other peers");
    page.verdicts(peers);
    page.text(HOW_TO_ADD);
    page.0
}

/// Under `KOIOS_INTEROP=write` the page is written, else compared with the committed one.
pub(crate) fn write_or_compare(page: &str) {
    let path = root().join("docs/INTEROP.md");
    if env::var_os("KOIOS_INTEROP").is_some_and(|value| value == "write") {
        fs::write(&path, page).expect("a writable docs folder");
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    if committed != page {
        let first = committed.lines().zip(page.lines()).position(|(one, other)| one != other);
        let at = first.unwrap_or_else(|| committed.lines().count().min(page.lines().count()));
        panic!(
            "docs/INTEROP.md has drifted from line {} on: run `cargo xtask interop` and commit the result\n\
             committed: {:?}\nseen:      {:?}",
            at + 1,
            committed.lines().nth(at),
            page.lines().nth(at)
        );
    }
}

struct Page(String);

impl Page {
    fn text(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn heading(&mut self, text: &str) {
        write!(self.0, "\n### {text}\n\n").expect("a string grows");
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn stacks(&mut self, seen: &[Seen]) {
        self.line("| stack | what the server says it is | authorities and CRLs | keeps rejected certificates | notices changed trust |");
        self.line("| --- | --- | --- | --- | --- |");
        for saw in seen {
            let yes = |ability| if saw.stack.can(ability) { "yes" } else { "no" };
            let live = if saw.stack.can(Ability::LiveTrust) { "while it runs" } else { "at its start" };
            let (authorities, rejected) = (yes(Ability::Authorities), yes(Ability::KeepsRejected));
            self.line(&format!("| {} | {} | {authorities} | {rejected} | {live} |", saw.stack, saw.product));
        }
    }

    /// Per case the messages, and of which stacks.
    fn sentences(&mut self, cases: &[Case], seen: &[Seen]) {
        self.line("| … | Koios says | with |");
        self.line("| --- | --- | --- |");
        for case in cases {
            let mut messages: Vec<(String, Vec<Stack>)> = Vec::new();
            for saw in seen {
                for message in messages_of(case, &saw.verdicts) {
                    let at = messages.iter().position(|(other, _)| *other == message);
                    let at = at.unwrap_or_else(|| {
                        messages.push((message, Vec::new()));
                        messages.len() - 1
                    });
                    messages[at].1.push(saw.stack);
                }
            }
            let mut title = case.title;
            for (message, stacks) in &messages {
                let with = if stacks.len() == seen.len() { "all".to_owned() } else { join(stacks) };
                self.line(&format!("| {title} | {message} | {with} |"));
                title = "";
            }
        }
    }

    /// What comes over the wire: case by stack.
    fn answers(&mut self, seen: &[Seen]) {
        let names: Vec<_> = seen.iter().map(|saw| saw.stack.name()).collect();
        self.line(&format!("| case | {} |", names.join(" | ")));
        self.line(&format!("| --- |{}", " --- |".repeat(names.len())));
        for case in certificates::CASES.iter().chain(others::CASES) {
            let cells: Vec<_> = seen.iter().map(|saw| answer(case, &saw.verdicts)).collect();
            self.line(&format!("| {} | {} |", case.name, cells.join(" | ")));
        }
    }

    fn peers(&mut self, verdicts: &Verdicts) {
        self.line("| … | Koios says |");
        self.line("| --- | --- |");
        for case in peers::CASES {
            for message in messages_of(case, verdicts) {
                self.line(&format!("| {} | {message} |", case.title));
            }
        }
    }

    /// Per case the verdict; per policy and mode where they differ.
    fn verdicts(&mut self, verdicts: &Verdicts) {
        self.line("| case | code | stage | status | first cause |");
        self.line("| --- | --- | --- | --- | --- |");
        for (case, rows) in table::by_case(verdicts) {
            let common = table::common(&rows);
            self.line(&row(case, common));
            let mut differing: BTreeMap<&Observation, Vec<&str>> = BTreeMap::new();
            for (key, observation) in rows.iter().filter(|(_, observation)| *observation != common) {
                differing.entry(observation).or_default().push(key.security.as_deref().unwrap_or_default());
            }
            for (observation, securities) in differing {
                self.line(&row(&format!("{case}, {}", securities.join(", ")), observation));
            }
        }
    }
}

fn row(case: &str, observation: &Observation) -> String {
    let Observation { code, stage, status, cause } = observation;
    format!("| {case} | {code} | {stage} | {status} | {cause} |")
}

/// The status and where it came, or the code of what Koios found itself; both, where policies or attempts differ.
fn answer(case: &Case, verdicts: &Verdicts) -> String {
    let mut answers = Vec::new();
    for (_, Observation { code, stage, status, .. }) in
        verdicts.iter().filter(|(key, _)| key.case == case.name)
    {
        let answer = match (code.as_str(), status.as_str()) {
            ("connected", _) => "ok".to_owned(),
            (code, "-") => format!("({code})"),
            (_, status) => format!("{stage}: {status}"),
        };
        if !answers.contains(&answer) {
            answers.push(answer);
        }
    }
    if answers.is_empty() { "not asked".to_owned() } else { answers.join(", then ") }
}

/// The messages of a case, each once.
fn messages_of(case: &Case, verdicts: &Verdicts) -> Vec<String> {
    let mut messages = Vec::new();
    for (Key { case: name, .. }, observation) in verdicts {
        let code = Code::from_name(&observation.code).expect("a code");
        let message = code.message().to_owned();
        if *name == case.name && !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages
}

fn join(stacks: &[Stack]) -> String {
    stacks.iter().map(|stack| stack.name()).collect::<Vec<_>>().join(", ")
}

const INTRODUCTION: &str = "\
# Interoperability

<!-- Written by `cargo xtask interop`; changes are made in crates/koios-opcua/tests/it/interop. -->

What servers of different makers answer to every kind of client certificate, and what Koios makes of it. Each line has been
seen: `cargo test -p koios-opcua interop` starts the servers, makes every attempt with Basic256Sha256,
Aes128_Sha256_RsaOaep and Aes256_Sha256_RsaPss, each with Sign and with SignAndEncrypt, and compares the verdicts with the
tables in `crates/koios-opcua/tests/it/interop/expected`. It fails where one differs, and where this page does not say what
was seen. Servers of other makers, and other releases, are judged by the same rules: no rule asks for a server's name.

## The servers

";

const FOR_OPERATORS: &str = "
## For the operator of a plant

The first column says what is the matter, the second what Koios shows. Where servers differ, so do the lines: the servers
decide what they check and what they tell. What is wrong in Koios' own eyes (an expired certificate, a key that does not fit)
it says before it sends anything.

Where it says \"Certificate rejected by server\" and no more, the server does not tell why: most often it does not trust the
certificate, but it may also be revoked, of an authority that is not known there, or of one whose revocation list is missing
there. Koios then lists what is left, the most probable first, and what to do.
";

const FOR_DEVELOPERS: &str = "
## For developers

First what the servers answer, in brackets where Koios found it out itself; then stack by stack the whole verdict: `code`,
`failed_stage`, the OPC UA status code as the server has sent it, and the first of the ranked causes with its
confidence (`rest-api`: the Test). One line stands for all policies and modes; those that differ follow it.

- `untrusted` uses a new certificate each time, `untrusted_again` one that the server has refused before.
- `*_sent` is sent although our own preflight would refuse it: with a clock that is not believed, or by a relay that
  switches certificates on their way (`wrong_key_sent`: the server gets to see a key that does not fit its certificate, which
  Koios itself never presents).
- `stale_server_certificate` is made by the same relay: the endpoints show another certificate than the server has, also when
  Koios fetches them again after the failure (where they show the new one then, it connects).
- `*_chain` and `*_leaf` are the same certificate, with and without its issuers.
";

const HOW_TO_ADD: &str = "
## A further stack

1. A server program in a folder of its own in `fixtures/servers/`, with a lockfile (`package-lock.json`, `requirements.txt`,
   or `CMakeLists.txt` with a `Cargo.lock` that names the source): `cargo xtask fixtures` finds and installs it. It takes the
   configuration that `crates/koios-testkit/src/server/foreign.rs` writes, prints `{\"ready\": true}`, and ends when its standard
   input does.
2. What is particular to it in one file in `crates/koios-testkit/src/server/stack/`: its name, what it can, how it is started;
   the `mod` line and the line in the list in `stack.rs` register it.
3. `cargo test -p koios-opcua interop` asks it everything, and leaves what was seen in `target/interop/<name>.txt`. Read each
   verdict against what the server's log says; what is right becomes `expected/<name>.txt`, what is wrong is mended first.
4. `cargo xtask interop` writes this page.
";
