//! The decision: every situation of `tests/decisions`, and what must hold for all facts there can be.

use proptest::prelude::*;
use serde::Deserialize;
use signpost_core::decision::{
    Biller, CiamMode, CiamState, Decision, Directory, DirectoryPolicy, EntryPoint, Facts, IssuerHealth,
    KillSwitchState, MaintenanceWindow, Membership, OutagePolicy, RULES, RolloutFacts, Rule, RuleOutcome,
    SuspensionPolicy, Verdict, Via, decide, rollout_bucket,
};
use signpost_core::{Slug, Timestamp, Username};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    facts: Facts,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    decision: Decision,
    row: u8,
    #[serde(default)]
    biller: Option<Slug>,
    rule: Rule,
    hits: Vec<Rule>,
}

fn cases() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/decisions");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file: File = toml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        cases.extend(file.case);
    }
    cases
}

fn hits(verdict: &Verdict) -> Vec<Rule> {
    verdict.trace.iter().filter(|step| step.outcome == RuleOutcome::Hit).map(|step| step.rule).collect()
}

#[test]
fn every_case_is_decided_as_expected() {
    for Case { name, facts, expect } in cases() {
        let verdict = decide(&facts);
        assert_eq!(verdict.decision, expect.decision, "{name}: {verdict:#?}");
        assert_eq!(verdict.row, expect.row, "{name}: row");
        assert_eq!(verdict.biller, expect.biller, "{name}: biller");
        assert_eq!(verdict.rule, expect.rule, "{name}: rule");
        assert_eq!(hits(&verdict), expect.hits, "{name}: rules that hit");
    }
}

#[test]
fn every_row_and_every_rule_has_a_case() {
    let cases = cases();
    for row in 0..=9 {
        assert!(cases.iter().any(|case| case.expect.row == row), "row {row} has no case");
    }
    for info in RULES {
        let hit = cases.iter().any(|case| case.expect.hits.contains(&info.rule));
        assert!(hit, "the rule {} has no case", info.rule.as_str());
    }
}

#[test]
fn only_row_six_raises_the_integrity_alarm() {
    for Case { name, facts, expect } in cases() {
        assert_eq!(decide(&facts).integrity_alarm, expect.row == 6, "{name}");
    }
}

#[test]
fn rollout_buckets_are_stable_and_evenly_distributed() {
    let slug = Slug::parse("riverside").unwrap();
    let bucket = |n: usize| rollout_bucket(&slug, &format!("user{n}"));
    assert_eq!(bucket(7), bucket(7));
    let inside = (0..10_000).filter(|n| bucket(*n) < 25).count();
    assert!((2_300..2_700).contains(&inside), "{inside} of 10,000 names are in the first 25 %");
}

fn slug() -> impl Strategy<Value = Slug> {
    prop::sample::select(vec!["alpha", "bravo", "charlie", "delta"]).prop_map(|text| Slug::parse(text).unwrap())
}

fn state() -> impl Strategy<Value = CiamState> {
    prop::sample::select(vec![
        CiamState::Legacy,
        CiamState::Enabling,
        CiamState::Active,
        CiamState::Active,
        CiamState::Suspended,
    ])
}

const NOW: i64 = 1_800_000_000_000;

prop_compose! {
    fn biller()(
        slug in slug(),
        state in state(),
        active_from in prop::option::of(NOW - 2..NOW + 2),
        ciam_mode in prop::option::of(prop::sample::select(CiamMode::ALL.to_vec())),
        (paused, private, legacy_accounts) in (prop::bool::weighted(0.1), prop::bool::weighted(0.2), prop::bool::ANY),
        when_suspended in prop::sample::select(vec![SuspensionPolicy::Legacy, SuspensionPolicy::Hold]),
        allow_list in prop::bool::ANY,
        percent in prop::option::of(0_u8..=100),
        issuer in prop::sample::select(vec![IssuerHealth::Up, IssuerHealth::Down]),
        maintenance in prop::option::of((NOW - 2..NOW + 2, 0_i64..3)),
        outage_policy in prop::sample::select(vec![OutagePolicy::Hold, OutagePolicy::Legacy, OutagePolicy::Proceed]),
    ) -> Biller {
        let mut biller = Biller::new(slug, state);
        biller.active_from = active_from.map(Timestamp::from_millis);
        biller.ciam_mode = ciam_mode;
        (biller.paused, biller.private, biller.legacy_accounts) = (paused, private, legacy_accounts);
        biller.when_suspended = when_suspended;
        biller.rollout = RolloutFacts { allow_list, percent };
        biller.issuer = issuer;
        biller.maintenance = maintenance.map(|(from, length)| MaintenanceWindow {
            from: Timestamp::from_millis(from), until: Timestamp::from_millis(from + length),
        });
        biller.outage_policy = outage_policy;
        biller
    }
}

prop_compose! {
    fn membership()(biller in biller(), legacy_account in prop::bool::ANY, allow_listed in prop::bool::ANY, bucket in 0_u8..100)
        -> Membership { Membership { legacy_account, allow_listed, bucket, ..Membership::new(biller) } }
}

fn kill_switch() -> impl Strategy<Value = KillSwitchState> {
    prop_oneof![
        6 => Just(KillSwitchState::Off),
        1 => Just(KillSwitchState::AllLegacy),
        1 => Just(KillSwitchState::Hold),
        2 => slug().prop_map(KillSwitchState::BillerLegacy),
    ]
}

fn entry_and_directory() -> impl Strategy<Value = (EntryPoint, Directory)> {
    let via = prop::sample::select(vec![Via::VanityPath, Via::VanityHost, Via::DeepLink]);
    prop_oneof![
        1 => (slug(), via.clone()).prop_map(|(slug, via)| (EntryPoint::Named { slug, via }, Directory::Unavailable)),
        1 => Just((EntryPoint::Shared, Directory::Unavailable)),
        3 => (biller(), via, prop::bool::weighted(0.9)).prop_map(|(biller, via, known)| {
            let entry = EntryPoint::Named { slug: biller.slug.clone(), via };
            (entry, Directory::Read { named: known.then_some(biller), memberships: Vec::new() })
        }),
        8 => prop::collection::vec(membership(), 0..5).prop_map(|mut memberships| {
            memberships.sort_by(|a, b| a.biller.slug.cmp(&b.biller.slug));
            memberships.dedup_by(|a, b| a.biller.slug == b.biller.slug);
            (EntryPoint::Shared, Directory::Read { named: None, memberships })
        }),
    ]
}

prop_compose! {
    fn facts()(
        (entry, directory) in entry_and_directory(),
        kill_switch in kill_switch(),
        directory_policy in prop::sample::select(vec![DirectoryPolicy::Legacy, DirectoryPolicy::Hold]),
        username in prop::option::of("[a-z]{1,8}(@[a-z]{1,8}\\.example)?"),
        remembered in prop::collection::vec(slug(), 0..3),
    ) -> Facts {
        let username = username.map(|name| Username::parse(&name).unwrap());
        let mut facts = Facts::new(Timestamp::from_millis(NOW), entry, directory);
        (facts.kill_switch, facts.directory_policy) = (kill_switch, directory_policy);
        facts.username = username;
        facts.remembered = remembered;
        facts
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn decisions_are_deterministic_with_a_complete_trace(facts in facts()) {
        let verdict = decide(&facts);
        prop_assert_eq!(&verdict, &decide(&facts));
        let rules: Vec<Rule> = verdict.trace.iter().map(|step| step.rule).collect();
        let all: Vec<Rule> = RULES.iter().map(|info| info.rule).collect();
        prop_assert_eq!(rules, all, "every rule once, in order");
        prop_assert!(verdict.row <= 9);
        prop_assert!(verdict.trace.iter().all(|step| step.because.ends_with('.')), "plain sentences");
        prop_assert!(hits(&verdict).contains(&verdict.rule), "the rule that had the last word is a hit");
    }

    #[test]
    fn serialized_facts_give_the_same_decision(facts in facts()) {
        let written = serde_json::to_string(&facts).unwrap();
        let read: Facts = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(decide(&read), decide(&facts));
    }

    /// The decision log does not store usernames in clear text, and the impact preview decides once for all usernames
    /// whose memberships are alike. Before you add a rule that reads the username, add what it reads to `DecisionKey` in
    /// `routing/impact.rs`, and store what a replay needs in a form that the log may hold.
    #[test]
    fn no_rule_reads_the_username_yet(facts in facts()) {
        prop_assert_eq!(decide(&Facts { username: None, ..facts.clone() }), decide(&facts));
    }

    #[test]
    fn users_are_sent_only_where_they_have_an_account(facts in facts()) {
        let verdict = decide(&facts);
        let members = facts.memberships();
        let unknown = members.is_empty() || verdict.rule == Rule::PrivateBiller;
        match (&facts.entry, verdict.decision) {
            (EntryPoint::Shared, Decision::LegacyLogin) => {
                let can = members.iter().any(Membership::can_sign_in_at_legacy);
                prop_assert!(unknown || can, "to legacy without an account: {:?}", verdict);
            }
            (EntryPoint::Shared, Decision::BookmarkNotice | Decision::SecureauthLogin) => {
                let there = members.iter().any(|m| Some(&m.biller.slug) == verdict.biller.as_ref() && m.is_ciam(facts.now));
                prop_assert!(there, "to SecureAuth of a biller one is no moved member of: {:?}", verdict);
            }
            (EntryPoint::Named { slug, .. }, Decision::BookmarkNotice | Decision::SecureauthLogin) => {
                prop_assert_eq!(verdict.biller.as_ref(), Some(slug));
                prop_assert!(facts.named().is_some_and(|biller| biller.is_active(facts.now)));
            }
            (EntryPoint::Named { slug, .. }, Decision::LegacyLogin) => {
                prop_assert_eq!(verdict.biller.as_ref(), Some(slug));
                prop_assert!(facts.named().is_none_or(|biller| biller.legacy_accounts && !biller.holds_while_suspended()));
            }
            _ => {}
        }
    }

    #[test]
    fn a_username_never_reveals_a_private_biller(facts in facts()) {
        let verdict = decide(&facts);
        let named = facts.memberships().iter().find(|m| Some(&m.biller.slug) == verdict.biller.as_ref());
        // The legacy hand-off is sealed, and the legacy login is where an unknown name goes as well.
        if let Some(membership) = named.filter(|m| m.biller.private) {
            prop_assert_eq!(verdict.decision, Decision::LegacyLogin, "{:?}", membership);
        }
    }
}
