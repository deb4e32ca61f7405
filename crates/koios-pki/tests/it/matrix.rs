//! The validation matrix: one defect a case, our verdict beside that of OpenSSL.
//!
//! Every case starts from a sound chain of three (root, plant, leaf; the root trusted, the plant in the issuer list,
//! current lists of both), made by rcgen, and breaks one thing. To add a case, add a row to [`cases::all`]: its name, our verdict, that of
//! `openssl verify -x509_strict -crl_check_all -purpose` (`None` where the question is not theirs), why the two differ (empty where they agree on whether to
//! accept), and what is broken. A difference without a reason fails, and so does a reason without a difference.

mod cases;
mod scene;

use koios_pki::TrustStatus;

use self::scene::{OK, Scene};
use crate::openssl::OpenSsl;

#[test]
fn each_case_is_judged_as_expected_by_us_and_by_openssl() {
    let mut wrong = Vec::new();
    let openssl = OpenSsl::or_skip();
    for case in cases::all() {
        let scene = Scene::of(case.change);
        let world = scene.build();
        let ours = world.ours(&scene);
        if ours != case.ours {
            wrong.push(format!("{}: ours {ours:?}, expected {:?}", case.name, case.ours));
        }
        if let (Some(openssl), Some(expected)) = (&openssl, case.openssl) {
            let theirs = world.theirs(&scene, openssl);
            if theirs != Ok(expected) {
                wrong.push(format!("{}: openssl {theirs:?}, expected {expected}", case.name));
            }
        }
        let differs = case.openssl.is_some_and(|code| (code == OK) != case.ours.is_ok());
        if differs == case.why.is_empty() {
            wrong.push(format!("{}: differs {differs}, reason {:?}", case.name, case.why));
        }
    }
    let count = cases::all().len();
    let asked = cases::all().iter().filter(|case| case.openssl.is_some()).count();
    let differ = cases::all().iter().filter(|case| !case.why.is_empty()).count();
    println!(
        "{count} cases: {asked} asked of openssl too, {} agree, {differ} differ for a reason",
        asked - differ
    );
    assert!(count >= 150, "{count} cases");
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

struct Case {
    name: &'static str,
    ours: Verdict,
    /// The number of the error, [`OK`], or `None` where the question is not theirs.
    openssl: Option<u32>,
    why: &'static str,
    change: fn(&mut Scene),
}

/// The number of the step, the status, and how far above the leaf.
type Verdict = Result<(), (u8, TrustStatus, usize)>;

fn case(
    name: &'static str,
    ours: Verdict,
    openssl: Option<u32>,
    why: &'static str,
    change: fn(&mut Scene),
) -> Case {
    Case { name, ours, openssl, why, change }
}
