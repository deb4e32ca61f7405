//! A client that changes one thing after the other, and remembers what it was answered.

use std::sync::atomic::{AtomicU64, Ordering};

use koios_pki::{
    Authority, AuthorityParams, CertificateRequest, KeySpec, PrivateKey, SerialNumber, Validity,
};
use koios_testkit::{CertificateSpec, TestCertificate, TestKey, revocation_list};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    random::Random,
    world::{
        DEFAULT, FIRST, State, certificate_entry, certificate_key, device_entry, device_key,
        revocation_list_key, server_key, text,
    },
};
use crate::http::{Answer, Call};

/// Beyond so many of a kind, one is deleted.
const KEPT: usize = 5;

/// One client. All that it makes bears its number.
pub(crate) struct Client {
    number: usize,
    /// Makes no device that connects by itself.
    pub(crate) quiet: bool,
    random: Random,
    authority: Authority,
    pub(crate) state: State,
    /// What was asked and not answered.
    pub(crate) unanswered: Option<Asked>,
    /// How many changes were acknowledged.
    pub(crate) acknowledged: u64,
    /// The certificates that were changed since it was last looked at them.
    pub(crate) touched: Vec<String>,
}

/// A change that was asked for.
pub(crate) struct Asked {
    pub(crate) change: Change,
    effect: Effect,
}

/// A change that is about to be asked for.
pub(crate) struct Planned {
    call: Call,
    shown: Shown,
    asked: Asked,
}

/// Every kind of change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    AddRevocationList,
    Assign,
    PatchDevice,
    CreateDevice,
    Delete,
    DeleteDevice,
    DeleteRevocationList,
    Describe,
    DropRequest,
    EnableDevice,
    ForgetServer,
    Generate,
    Install,
    MoveDefault,
    MoveServer,
    Regenerate,
    Replace,
    Request,
    Trust,
    Upload,
}

impl Change {
    pub(crate) const ALL: [Self; 20] = [
        Self::AddRevocationList,
        Self::Assign,
        Self::PatchDevice,
        Self::CreateDevice,
        Self::Delete,
        Self::DeleteDevice,
        Self::DeleteRevocationList,
        Self::Describe,
        Self::DropRequest,
        Self::EnableDevice,
        Self::ForgetServer,
        Self::Generate,
        Self::Install,
        Self::MoveDefault,
        Self::MoveServer,
        Self::Regenerate,
        Self::Replace,
        Self::Request,
        Self::Trust,
        Self::Upload,
    ];

    /// Whether it writes a private key, which may lie there without a row when it is cut off.
    pub(crate) fn makes_key(self) -> bool {
        matches!(
            self,
            Self::Generate | Self::Install | Self::Regenerate | Self::Replace | Self::Request | Self::Upload
        )
    }

    /// What must be there before.
    pub(crate) fn needs(self) -> Option<Self> {
        match self {
            Self::PatchDevice | Self::DeleteDevice | Self::EnableDevice => Some(Self::CreateDevice),
            Self::Delete | Self::MoveDefault | Self::Request => Some(Self::Generate),
            Self::DeleteRevocationList => Some(Self::AddRevocationList),
            Self::Install | Self::DropRequest => Some(Self::Request),
            Self::ForgetServer | Self::MoveServer => Some(Self::Trust),
            Self::Assign => Some(Self::CreateDevice),
            _ => None,
        }
    }
}

/// What the change does when it is done.
enum Effect {
    /// An entry is there, whose new values the daemon chooses; it must pass the check, given what was there before.
    Put { key: String, check: Check, becomes_default: bool },
    /// These entries are there, or are no more.
    Set(Vec<(String, Option<Value>)>),
}

type Check = Box<dyn Fn(Option<&Value>, &Value) -> bool + Send>;

/// How the request's answer is read.
enum Shown {
    /// The change is known already.
    Nothing,
    Certificate,
    Replaced,
    Request,
    Device(Value),
}

/// Makes names that nobody else has.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Client {
    pub(crate) fn new(number: usize, seed: u64) -> Self {
        let now = OffsetDateTime::now_utc();
        let params = AuthorityParams::new(
            "Plant CA",
            "Plant",
            Validity::starting_at(now, 3650),
            SerialNumber::from_random_bytes([7; 16]),
        );
        let key = PrivateKey::generate(KeySpec::EcP256).expect("a key");
        Self {
            number,
            quiet: false,
            random: Random::new(seed),
            authority: Authority::root(&params, key).expect("an authority"),
            state: State::new(),
            unanswered: None,
            acknowledged: 0,
            touched: Vec::new(),
        }
    }

    /// Changes things until an answer does not come.
    pub(crate) fn run(&mut self, url: &str, token: &str) {
        assert!(self.unanswered.is_none(), "judged before");
        loop {
            let change = self.some_change();
            let Some(planned) = self.plan(change, url, token) else { continue };
            match self.carry_out(planned) {
                Some(answer) if answer.status < 300 => self.acknowledged += 1,
                Some(answer) => panic!("{change:?}: {} {}", answer.status, answer.text()),
                None => return,
            }
        }
    }

    /// Plans the change, after those that it needs.
    pub(crate) fn plan_whatever_it_needs(&mut self, change: Change, url: &str, token: &str) -> Planned {
        loop {
            if let Some(planned) = self.plan(change, url, token) {
                return planned;
            }
            let mut needed = change.needs().expect("nothing more is needed");
            while let Some(before) = needed.needs().filter(|_| self.plan(needed, url, token).is_none()) {
                needed = before;
            }
            let planned = self.plan(needed, url, token).expect("it needs nothing");
            assert!(self.carry_out(planned).expect("an answer").status < 300);
        }
    }

    /// Asks for the change; `None` when no answer came. What an answer acknowledges is remembered.
    pub(crate) fn carry_out(&mut self, planned: Planned) -> Option<Answer> {
        let Planned { call, shown, asked } = planned;
        if let Effect::Put { key, .. } = &asked.effect
            && key.starts_with("certificate ")
        {
            self.touched.push(key.clone());
        }
        match call.try_send() {
            Ok(answer) => {
                if answer.status < 300 {
                    self.acknowledge(&asked, &shown, &answer);
                } else {
                    self.unanswered = Some(asked);
                }
                Some(answer)
            }
            Err(_) => {
                self.unanswered = Some(asked);
                None
            }
        }
    }

    fn acknowledge(&mut self, asked: &Asked, shown: &Shown, answer: &Answer) {
        match &asked.effect {
            Effect::Set(entries) => set(&mut self.state, entries),
            Effect::Put { key, check, becomes_default } => {
                let answer = answer.json();
                let before = self.state.get(key);
                let pending = before.map_or(Value::Null, |before| before["pending"].clone());
                let now = match shown {
                    Shown::Nothing => panic!("{:?} shows nothing", asked.change),
                    Shown::Certificate => certificate_entry(&answer, pending),
                    Shown::Replaced => {
                        let kept = if asked.change == Change::Install { Value::Null } else { pending };
                        certificate_entry(&answer["certificate"], kept)
                    }
                    Shown::Request => {
                        let mut entry = before.expect("a certificate").clone();
                        entry["pending"] = answer["pending"]["public_key_sha256"].clone();
                        entry
                    }
                    Shown::Device(password) => device_entry(&answer, password.clone()),
                };
                assert!(check(before, &now), "{:?} was answered with {now}", asked.change);
                if *becomes_default {
                    self.state.insert(DEFAULT.to_owned(), now["id"].clone());
                }
                self.state.insert(key.clone(), now);
            }
        }
    }

    /// Compares what is there after a kill with what was acknowledged; whether the unanswered change was carried out.
    pub(crate) fn judge(&mut self, found: &State) -> Option<bool> {
        let unanswered = self.unanswered.take();
        let applied = match &unanswered {
            _ if *found == self.state => Some(false).filter(|_| unanswered.is_some()),
            Some(asked) if asked.explains(&self.state, found) => Some(true),
            _ => panic!(
                "client {}: neither the old state nor the new one after {}\n{}",
                self.number,
                unanswered
                    .as_ref()
                    .map_or_else(|| "nothing".to_owned(), |asked| format!("{:?}", asked.change)),
                differences(&self.state, found)
            ),
        };
        self.state.clone_from(found);
        applied
    }

    /// Any change; when there is enough of a kind, something of it is deleted instead.
    fn some_change(&mut self) -> Change {
        let change = *self.random.one_of(&Change::ALL).expect("changes");
        self.count_in_bounds(change)
    }

    pub(crate) fn count_in_bounds(&self, change: Change) -> Change {
        let full = |kind: &str| self.names(kind).len() > KEPT;
        match change {
            Change::Generate | Change::Upload if full("certificate ") => Change::Delete,
            Change::CreateDevice if full("device ") => Change::DeleteDevice,
            Change::Trust if full("server ") => Change::ForgetServer,
            Change::AddRevocationList if full("revocation list ") => Change::DeleteRevocationList,
            change => change,
        }
    }

    /// Makes the request for a change of that kind, of something that is there; `None` when there is nothing for it.
    pub(crate) fn plan(&mut self, change: Change, url: &str, token: &str) -> Option<Planned> {
        let call = |method: &str, path: &str| Call::new(method, format!("{url}/api/v1/{path}")).token(token);
        let name = format!("client {} makes {}", self.number, NEXT.fetch_add(1, Ordering::Relaxed));
        let certificates = self.certificates_for(change);
        let certificate = self.random.one_of(&certificates).cloned();
        let devices = self.names("device ");
        let device = self.random.one_of(&devices).cloned();
        let servers = self.names("server ");
        let server = self.random.one_of(&servers).cloned();
        let (call, shown, effect) = match change {
            Change::Generate => self.generate(call, &name),
            Change::Upload => upload(call, &name),
            Change::Request => self.request(call, &certificate?),
            Change::Install => self.install(call, &certificate?)?,
            Change::DropRequest => self.drop_request(call, &certificate?),
            Change::Replace => self.replace(call, &certificate?),
            Change::Regenerate => self.regenerate(call, &certificate?),
            Change::Delete => self.delete_certificate(call, &certificate?),
            Change::MoveDefault => self.move_default(call, &certificate?),
            Change::Describe => self.describe(call, &certificate?, &name),
            Change::CreateDevice => self.create_device(call, &name, certificate.as_deref()),
            Change::PatchDevice => self.change_device(call, &device?, certificate.as_deref(), &name),
            Change::EnableDevice => self.enable_device(call, &device?),
            Change::Assign => self.assign(call, &certificate?)?,
            Change::DeleteDevice => self.delete_device(call, &device?),
            Change::Trust => self.trust_new(call, &name),
            Change::MoveServer => self.move_server(call, &server?),
            Change::ForgetServer => forget_server(call, &server?),
            Change::AddRevocationList => add_revocation_list(call, &name),
            Change::DeleteRevocationList => {
                let lists = self.names("revocation list ");
                delete_revocation_list(call, self.random.one_of(&lists)?)
            }
        };
        Some(Planned { call, shown, asked: Asked { change, effect } })
    }

    /// The names of the certificates that such a change can be made to.
    fn certificates_for(&self, change: Change) -> Vec<String> {
        let mut names = self.names("certificate ");
        names.retain(|name| {
            let entry = self.certificate(name);
            let is_default = self.state.get(DEFAULT) == Some(&entry["id"]);
            match change {
                Change::Request => entry["pending"].is_null(),
                Change::Install | Change::DropRequest => entry["pending"].is_string(),
                Change::Delete => name != FIRST && !is_default,
                Change::MoveDefault => self.number == 0 && !is_default,
                _ => true,
            }
        });
        names
    }

    fn generate(&mut self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let becomes_default = self.number == 0 && self.random.below(3) == 0;
        let body = json!({
            "name": name, "hostname": "gw01.plant.example", "description": name,
            "key": { "algorithm": "ec", "curve": "p256" }, "make_default": becomes_default,
        });
        let described = name.to_owned();
        let check: Check = Box::new(move |before, now| {
            before.is_none()
                && now["origin"] == "generated"
                && now["generation"] == 1
                && now["description"] == described
                && now["pending"].is_null()
        });
        let effect = Effect::Put { key: certificate_key(name), check, becomes_default };
        (call("POST", "certificates/generate").json(&body), Shown::Certificate, effect)
    }

    fn request(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let entry = self.certificate(name);
        let path = path_of(entry, "/csr");
        let check: Check = Box::new(|before, now| {
            let mut same = now.clone();
            same["pending"] = Value::Null;
            before == Some(&same) && now["pending"].is_string()
        });
        let effect = Effect::Put { key: certificate_key(name), check, becomes_default: false };
        let call = call("POST", &path).json(&json!({ "new_key": true }));
        (call, Shown::Request, effect)
    }

    fn install(&mut self, call: impl Fn(&str, &str) -> Call, name: &str) -> Option<(Call, Shown, Effect)> {
        let entry = self.certificate(name).clone();
        let csr = call("GET", &path_of(&entry, "/csr")).try_send().ok()?;
        let request =
            CertificateRequest::from_pem(text(&csr.expect(200)["pem"]).as_bytes()).expect("a request");
        let mut serial = [0; 16];
        serial[..8].copy_from_slice(&self.random.next().to_be_bytes());
        let validity = Validity::starting_at(OffsetDateTime::now_utc(), 90);
        let serial = SerialNumber::from_random_bytes(serial);
        let issued = self.authority.issue(&request, validity, serial).expect("a certificate");
        let thumbprint = issued.thumbprint_sha256().to_string();
        let key = certificate_key(name);
        let check: Check = Box::new(move |before, now| {
            let before = before.expect("a certificate");
            now["thumbprint"] == thumbprint
                && now["origin"] == "issued"
                && now["pending"].is_null()
                && follows(before, now)
        });
        let effect = Effect::Put { key, check, becomes_default: false };
        let call = call("POST", &path_of(&entry, "/install?allow_uri_change=true"))
            .form(&[("certificate", issued.der())]);
        Some((call, Shown::Replaced, effect))
    }

    fn drop_request(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let mut entry = self.certificate(name).clone();
        let call = call("DELETE", &path_of(&entry, "/csr"));
        entry["pending"] = Value::Null;
        let effect = Effect::Set(vec![(certificate_key(name), Some(entry))]);
        (call, Shown::Nothing, effect)
    }

    fn replace(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let pair = pair(name);
        let entry = self.certificate(name);
        let call = call("POST", &path_of(entry, "/replace?allow_uri_change=true"))
            .form(&[("certificate", pair.pem().as_bytes()), ("private_key", pair.key_pem().as_bytes())]);
        let thumbprint = pair.sha256();
        let check: Check = Box::new(move |before, now| {
            let before = before.expect("a certificate");
            now["thumbprint"] == thumbprint
                && now["origin"] == "uploaded"
                && now["pending"] == before["pending"]
                && follows(before, now)
        });
        let effect = Effect::Put { key: certificate_key(name), check, becomes_default: false };
        (call, Shown::Replaced, effect)
    }

    fn regenerate(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let call = call("POST", &path_of(self.certificate(name), "/regenerate"))
            .json(&json!({ "key": { "algorithm": "ec", "curve": "p256" } }));
        let check: Check = Box::new(move |before, now| {
            let before = before.expect("a certificate");
            now["thumbprint"] != before["thumbprint"]
                && now["origin"] == "generated"
                && now["pending"] == before["pending"]
                && follows(before, now)
        });
        let effect = Effect::Put { key: certificate_key(name), check, becomes_default: false };
        (call, Shown::Replaced, effect)
    }

    fn delete_certificate(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let entry = self.certificate(name);
        let call = call("DELETE", &path_of(entry, ""));
        let mut changes = vec![(certificate_key(name), None)];
        changes.extend(self.devices_with(&entry["id"]).map(|(key, mut device)| {
            device["certificate_id"] = Value::Null;
            (key, Some(device))
        }));
        (call, Shown::Nothing, Effect::Set(changes))
    }

    fn move_default(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let id = self.certificate(name)["id"].clone();
        let call = call("PUT", "certificates/default").json(&json!({ "id": id }));
        let effect = Effect::Set(vec![(DEFAULT.to_owned(), Some(id))]);
        (call, Shown::Nothing, effect)
    }

    fn describe(&self, call: impl Fn(&str, &str) -> Call, name: &str, said: &str) -> (Call, Shown, Effect) {
        let mut entry = self.certificate(name).clone();
        entry["description"] = json!(said);
        let call = call("PATCH", &path_of(&entry, ""))
            .bytes("application/merge-patch+json", json!({ "description": said }).to_string());
        let effect = Effect::Set(vec![(certificate_key(name), Some(entry))]);
        (call, Shown::Nothing, effect)
    }

    fn create_device(
        &mut self,
        call: impl Fn(&str, &str) -> Call,
        name: &str,
        certificate: Option<&str>,
    ) -> (Call, Shown, Effect) {
        let certificate_id = certificate.map_or(Value::Null, |name| self.certificate(name)["id"].clone());
        let enabled = !self.quiet && self.random.below(4) == 0;
        let body = json!({
            "name": name, "endpoint_url": "opc.tcp://127.0.0.1:1/", "security_mode": "sign", "enabled": enabled,
            "certificate_id": certificate_id, "scan_rate_seconds": 2.0,
            "user_identity": { "type": "username", "username": "op", "password": name },
        });
        let password = json!(name);
        let expected = password.clone();
        let check: Check = Box::new(move |before, now| {
            before.is_none()
                && now["certificate_id"] == certificate_id
                && now["enabled"] == enabled
                && now["scan_rate_seconds"] == 2.0
                && now["password"] == expected
        });
        let effect = Effect::Put { key: device_key(name), check, becomes_default: false };
        let call = call("POST", "devices").json(&body);
        (call, Shown::Device(password), effect)
    }

    /// Everything at once: settings, the certificate, the password.
    fn change_device(
        &self,
        call: impl Fn(&str, &str) -> Call,
        name: &str,
        certificate: Option<&str>,
        password: &str,
    ) -> (Call, Shown, Effect) {
        let key = device_key(name);
        let mut entry = self.state[&key].clone();
        let path = format!("devices/{}", text(&entry["id"]));
        let certificate_id = certificate.map_or(Value::Null, |name| self.certificate(name)["id"].clone());
        let scan_rate = entry["scan_rate_seconds"].as_f64().expect("a number") + 1.0;
        let change = json!({
            "certificate_id": certificate_id, "scan_rate_seconds": scan_rate,
            "user_identity": { "type": "username", "username": "op", "password": password },
        });
        entry["certificate_id"] = certificate_id;
        entry["scan_rate_seconds"] = json!(scan_rate);
        entry["password"] = json!(password);
        let call = call("PATCH", &path).bytes("application/merge-patch+json", change.to_string());
        (call, Shown::Nothing, Effect::Set(vec![(key, Some(entry))]))
    }

    /// Or disables one that is enabled.
    fn enable_device(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let key = device_key(name);
        let mut entry = self.state[&key].clone();
        let enable = entry["enabled"] == false;
        let verb = if enable { "enable" } else { "disable" };
        let call = call("POST", &format!("devices/{}/{verb}", text(&entry["id"]))).json(&json!({}));
        entry["enabled"] = json!(enable);
        (call, Shown::Nothing, Effect::Set(vec![(key, Some(entry))]))
    }

    fn delete_device(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let key = device_key(name);
        let call = call("DELETE", &format!("devices/{}", text(&self.state[&key]["id"])));
        (call, Shown::Nothing, Effect::Set(vec![(key, None)]))
    }

    /// Many rows in one change: all devices get the certificate, or lose it when all have it.
    fn assign(&self, call: impl Fn(&str, &str) -> Call, name: &str) -> Option<(Call, Shown, Effect)> {
        let entry = self.certificate(name);
        let devices = self.state.iter().filter(|(key, _)| key.starts_with("device "));
        let (with, without): (Vec<_>, Vec<_>) =
            devices.partition(|(_, device)| device["certificate_id"] == entry["id"]);
        let (verb, devices, now) = match without.is_empty() {
            false => ("assign", without, &entry["id"]),
            true => ("unassign", with, &Value::Null),
        };
        if devices.is_empty() {
            return None;
        }
        let ids: Vec<_> = devices.iter().map(|(_, device)| &device["id"]).collect();
        let call = call("PUT", &path_of(entry, "/devices")).json(&json!({ verb: ids }));
        let changed = devices.into_iter().map(|(key, device)| {
            let mut device = device.clone();
            device["certificate_id"] = now.clone();
            (key.clone(), Some(device))
        });
        Some((call, Shown::Nothing, Effect::Set(changed.collect())))
    }

    fn trust_new(&mut self, call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
        let list = if self.random.below(2) == 0 { "trusted" } else { "issuer" };
        let certificate = CertificateSpec {
            common_name: Some(name.to_owned()),
            ..small(CertificateSpec::application("urn:plant:server"))
        }
        .make();
        let call = call("POST", "trust/server-certificates")
            .form(&[("certificate", certificate.der()), ("list", list.as_bytes())]);
        let effect = Effect::Set(vec![(server_key(&certificate.sha256()), Some(json!({ "list": list })))]);
        (call, Shown::Nothing, effect)
    }

    fn move_server(&self, call: impl Fn(&str, &str) -> Call, server: &str) -> (Call, Shown, Effect) {
        let key = server_key(server);
        let (verb, list) = match text(&self.state[&key]["list"]) {
            "trusted" => ("reject", "rejected"),
            _ => ("trust", "trusted"),
        };
        let call = call("POST", &format!("trust/server-certificates/{server}/{verb}"));
        let effect = Effect::Set(vec![(key, Some(json!({ "list": list })))]);
        (call, Shown::Nothing, effect)
    }

    fn certificate(&self, name: &str) -> &Value {
        &self.state[&certificate_key(name)]
    }

    fn names(&self, kind: &str) -> Vec<String> {
        self.state.keys().filter_map(|key| key.strip_prefix(kind)).map(str::to_owned).collect()
    }

    fn devices_with(&self, id: &Value) -> impl Iterator<Item = (String, Value)> {
        let devices = self.state.iter().filter(|(key, _)| key.starts_with("device "));
        devices
            .filter(move |(_, device)| device["certificate_id"] == *id)
            .map(|(key, d)| (key.clone(), d.clone()))
    }
}

impl Asked {
    /// Whether this change, and nothing else, leads from one state to the other.
    fn explains(&self, before: &State, found: &State) -> bool {
        let mut after = before.clone();
        match &self.effect {
            Effect::Set(entries) => set(&mut after, entries),
            Effect::Put { key, check, becomes_default } => {
                let Some(now) = found.get(key).filter(|now| check(before.get(key), now)) else {
                    return false;
                };
                if *becomes_default {
                    after.insert(DEFAULT.to_owned(), now["id"].clone());
                }
                after.insert(key.clone(), now.clone());
            }
        }
        after == *found
    }
}

fn upload(call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
    let pair = pair(name);
    let call = call("POST", "certificates/upload").form(&[
        ("name", name.as_bytes()),
        ("certificate", pair.pem().as_bytes()),
        ("private_key", pair.key_pem().as_bytes()),
    ]);
    let thumbprint = pair.sha256();
    let check: Check = Box::new(move |before, now| {
        before.is_none() && now["thumbprint"] == thumbprint && now["origin"] == "uploaded"
    });
    let effect = Effect::Put { key: certificate_key(name), check, becomes_default: false };
    (call, Shown::Certificate, effect)
}

fn forget_server(call: impl Fn(&str, &str) -> Call, server: &str) -> (Call, Shown, Effect) {
    let call = call("DELETE", &format!("trust/server-certificates/{server}"));
    let effect = Effect::Set(vec![(server_key(server), None)]);
    (call, Shown::Nothing, effect)
}

fn add_revocation_list(call: impl Fn(&str, &str) -> Call, name: &str) -> (Call, Shown, Effect) {
    let authority = small(CertificateSpec::authority(name)).make();
    let list = revocation_list(&authority, &[]);
    let sha256 = koios_pki::Sha256Thumbprint::of(&list).to_string();
    let effect = Effect::Set(vec![(revocation_list_key(&sha256), Some(json!({})))]);
    let call = call("POST", "trust/crls").form(&[("crl", &list)]);
    (call, Shown::Nothing, effect)
}

fn delete_revocation_list(call: impl Fn(&str, &str) -> Call, sha256: &str) -> (Call, Shown, Effect) {
    let effect = Effect::Set(vec![(revocation_list_key(sha256), None)]);
    (call("DELETE", &format!("trust/crls/{sha256}")), Shown::Nothing, effect)
}

fn set(state: &mut State, entries: &[(String, Option<Value>)]) {
    for (key, value) in entries {
        match value {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
}

/// A later generation of the same certificate.
fn follows(before: &Value, now: &Value) -> bool {
    now["id"] == before["id"]
        && now["description"] == before["description"]
        && now["generation"].as_u64() > before["generation"].as_u64()
}

fn path_of(entry: &Value, rest: &str) -> String {
    format!("certificates/{}{rest}", text(&entry["id"]))
}

/// A pair with a key that no other certificate has.
fn pair(name: &str) -> TestCertificate {
    let uri = format!("urn:plant:{}", name.replace(' ', "-"));
    CertificateSpec { key: TestKey::generate(256), ..CertificateSpec::application(&uri) }.make()
}

/// With a key that is quick to sign with.
fn small(spec: CertificateSpec) -> CertificateSpec {
    CertificateSpec { key: TestKey::shared(256, 0), ..spec }
}

fn differences(expected: &State, found: &State) -> String {
    let keys: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let lines = keys
        .into_iter()
        .filter(|key| expected.get(*key) != found.get(*key))
        .map(|key| format!("{key}: acknowledged {:?}, found {:?}\n", expected.get(key), found.get(key)));
    lines.collect()
}
