//! Settings: the example is whole, unknown keys are refused, and all problems are reported at once.

use signpost::config::Config;

fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_text(text, environment).err().map(|problems| problems.0).unwrap_or_default()
}

const GOOD: &str = r#"
    [server]
    public_url = "https://login.example.com"
    [secrets]
    keys = ["q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="]
    [legacy]
    login_url = "https://classic.example.com/login"
    [portal]
    handoff_url = "https://portal.example.com/handoff"
"#;

#[test]
fn example_config_is_valid_except_for_its_secret_file() {
    let text = include_str!("../../signpost.example.toml");
    let found = problems(text, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("file signpost.key"), "{found:?}");
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if (setting.contains(" = ") || setting.starts_with("[[")) && !setting.starts_with(' ') => {
                setting
            }
            _ => line,
        })
        .filter(|line| !line.starts_with("login_template"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(
        problems(&uncommented, &[]).len(),
        5,
        "every setting that is commented out exists: {:?}",
        problems(&uncommented, &[])
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(
        r#"
        [server]
        listen = "nowhere"
        pubic_url = "https://x.example"
        [secrets]
        keys = ["c2hvcnQ="]
        [limits]
        lookups_per_username_per_hour = 0
        [nonsense]
        a = 1
        [return_to]
        paths = ["//evil.example"]
        "#,
        &[],
    );
    for expected in [
        "server.listen",
        "server.pubic_url: unknown setting; did you mean public_url?",
        "secrets.keys[0]",
        "legacy.login_url",
        "portal.handoff_url",
        "limits.lookups_per_username_per_hour",
        "nonsense",
        "//evil.example",
    ] {
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected} is not reported: {found:#?}");
    }
}

#[test]
fn legacy_paths_must_not_shadow_reserved_paths_and_must_resolve() {
    let listed = signpost_core::routes::gateway().iter().map(|route| route.path.as_ref());
    for path in
        listed.chain(["/b/x", "/api/v1", "/login/old.aspx", "/error", "/forget", "/identity/v1/x", "/poolside/v1"])
    {
        let found = problems(&format!("{GOOD}\n[[legacy_paths]]\npath = \"{path}\""), &[]);
        assert!(found.iter().any(|problem| problem.contains("Signpost's own paths")), "{path}: {found:?}");
    }
    let found = problems(&format!("{GOOD}\n[[legacy_paths]]\npath = \"/old\"\nreturn_to = \"nonsense\""), &[]);
    assert!(found[0].contains("return_to"), "{found:?}");
    let found = problems(&GOOD.replace("handoff\"", "handoff\"\nhandoff_seconds = 86400"), &[]);
    assert!(found[0].contains("1 to 3600"), "{found:?}");
}

#[test]
fn security_contacts_and_management_listener_are_checked() {
    let good = "contact = [\"mailto:security@example.com\", \"tel:+1-555-010-0100\", \"https://example.com/x\"]\n\
                expires = \"2027-12-31T00:00:00Z\"";
    assert_eq!(problems(&format!("{GOOD}\n[security_txt]\n{good}"), &[]), Vec::<String>::new());
    for (settings, problem) in [
        ("contact = [\"mailto:security@example.com\"]", "security_txt.expires: missing"),
        ("expires = \"2027-12-31T00:00:00Z\"", "security_txt.contact: missing"),
        (
            "contact = [\"http://example.com/\"]\nexpires = \"2027-12-31T00:00:00Z\"",
            "not a mailto, tel or https address",
        ),
        ("contact = [\"mailto:a@b.example?bcc=c\"]\nexpires = \"2027-12-31T00:00:00Z\"", "not a mailto, tel or https"),
        ("contact = [\"mailto:a@b.example\"]\nexpires = \"next year\"", "is not a time"),
        ("policy = \"http://example.com/\"", "security_txt.policy: must be an https URL"),
    ] {
        let found = problems(&format!("{GOOD}\n[security_txt]\n{settings}"), &[]);
        assert!(found.iter().any(|own| own.contains(problem)), "{settings}: {found:?}");
    }
    for (listen, is_refused) in [("127.0.0.1:9000", false), ("127.0.0.1:8086", true), ("0.0.0.0:8086", true)] {
        let found = problems(GOOD, &[("SIGNPOST__SERVER__LISTEN", listen)]);
        let named = found.iter().any(|problem| problem.starts_with("server.management_listen: must differ"));
        assert_eq!(named, is_refused, "{listen}: {found:?}");
    }
    let found = problems(GOOD, &[("SIGNPOST__SERVER__MANAGEMENT_LISTEN", "0.0.0.0:8080")]);
    assert!(found.iter().any(|problem| problem.contains("must differ from server.listen")), "{found:?}");
}

#[test]
fn a_certificate_needs_its_key_and_https() {
    let (certificate, key) = (("SIGNPOST__SERVER__TLS_CERTIFICATE", "a.pem"), ("SIGNPOST__SERVER__TLS_KEY", "a.key"));
    for (url, environment, problem) in [
        ("https://login.example.com", &[certificate, key][..], None),
        ("https://login.example.com", &[certificate], Some("server.tls_key: missing")),
        ("https://login.example.com", &[key], Some("server.tls_certificate: missing")),
        (
            "http://localhost:8080",
            &[certificate, key],
            Some("server.public_url: http://localhost:8080/ must be an https"),
        ),
    ] {
        let environment = [&[("SIGNPOST__SERVER__PUBLIC_URL", url)], environment].concat();
        let found = problems(GOOD, &environment);
        assert_eq!(found.len(), usize::from(problem.is_some()), "{environment:?}: {found:?}");
        assert!(problem.is_none_or(|problem| found[0].starts_with(problem)), "{environment:?}: {found:?}");
    }
}

#[test]
fn environment_overrides_file() {
    assert_eq!(problems(GOOD, &[]), Vec::<String>::new());
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let config = Config::from_text(
        GOOD,
        [
            set("SIGNPOST__SERVER__LISTEN", "0.0.0.0:9000"),
            set("SIGNPOST__SESSIONS__IDLE_MINUTES", "5"),
            set("SIGNPOST_OPERATOR_KEY_FILE", "/run/secrets/operator"),
            set("PATH", "x"),
        ],
    )
    .unwrap();
    assert_eq!((config.server.listen.tcp().unwrap().port(), config.sessions.idle_minutes), (9000, 5));
    assert!(problems(GOOD, &[("SIGNPOST__SERVER__NO_SUCH", "1")])[0].contains("server.no_such"));
    let odd = [set("SIGNPOST__HELP__PHONE", "911"), set("SIGNPOST__RETURN_TO__PATHS", "/bills, /pay")];
    let config = Config::from_text(GOOD, odd).unwrap();
    assert_eq!(config.help.phone.as_deref(), Some("911"));
    assert_eq!(config.return_to.paths, ["/bills", "/pay"]);
    assert!(problems(GOOD, &[("SIGNPOST__SERVER", "1")])[0].contains("SIGNPOST__SERVER"));
}

#[test]
fn http_is_allowed_on_localhost_only_and_secrets_are_redacted() {
    let found = problems(&GOOD.replace("https://login.example.com", "http://login.example.com"), &[]);
    assert!(found[0].contains("https is needed"), "{found:?}");
    let config = Config::from_text(GOOD, []).unwrap();
    assert!(!format!("{config:?}").contains("q83vEjRWeJ"), "a key shows in Debug");
}

#[test]
fn return_to_accepts_ids_and_allowed_paths() {
    let text = format!("{GOOD}\n[return_to]\npaths = [\"/bills\"]\nids = {{ pay = \"/pay/now\" }}");
    let config = Config::from_text(&text, []).unwrap();
    let resolve = |asked: &str| config.return_to.resolve(asked);
    assert_eq!(resolve("pay").as_deref(), Some("/pay/now"));
    assert_eq!(resolve("/bills/2026-11").as_deref(), Some("/bills/2026-11"));
    for line in include_str!("../corpus/redirects.txt").lines() {
        let path = ["/bills?next=//evil.example", "/bills#//evil.example"].contains(&line).then(|| "/bills".to_owned());
        assert_eq!(resolve(line), path, "{line:?} was accepted");
    }
    assert_eq!(resolve("/bills2"), None);
    assert_eq!(resolve("/bills/7?month=11&view=all").as_deref(), Some("/bills/7?month=11&view=all"));
    assert_eq!(resolve("/bills/7?next=%2f%2fevil.example").as_deref(), Some("/bills/7"), "the path without its query");
    assert_eq!(resolve("pay?month=11").as_deref(), Some("/pay/now?month=11"));
    assert_eq!(resolve("/evil?month=11"), None);
}

#[test]
fn problems_never_contain_secrets() {
    const SECRET: &str = "c2VjcmV0LXNlY3JldA";
    for text in [
        GOOD.replace("[secrets]", &format!("[secrets]\nold = \"{SECRET}\"")),
        format!("[secrets]\nkeys = \"{SECRET}\""),
        format!("[secrets]\nkeys = \"{SECRET}"),
        format!("[secrets]\nkeys = [{{ inline = \"{SECRET}\" }}]"),
        format!("[database]\nurl = [\"{SECRET}\"]"),
    ] {
        let reported = problems(&text, &[]).join("\n");
        assert!(!reported.is_empty() && !reported.contains(SECRET), "{reported}");
    }
    let reported = problems(GOOD, &[("SIGNPOST__SECRETS__KEYS", SECRET)]).join("\n");
    assert!(!reported.is_empty() && !reported.contains(SECRET), "{reported}");
}

#[test]
fn usual_spellings_of_booleans_and_words_are_accepted() {
    for (value, expected) in
        [("yes", true), ("On", true), ("TRUE", true), ("1", true), ("no", false), ("off\n", false), ("0", false)]
    {
        let set = [("SIGNPOST__LIMITS__EXEMPT_LOOPBACK".to_owned(), value.to_owned())];
        assert_eq!(Config::from_text(GOOD, set).unwrap().limits.exempt_loopback, expected, "{value}");
    }
    for (value, expected) in [("\"yes\"", true), ("1", true), ("\"Off\"", false), ("0", false)] {
        let text = format!("{GOOD}\n[limits]\nexempt_loopback = {value}");
        assert_eq!(Config::from_text(&text, []).unwrap().limits.exempt_loopback, expected, "{value}");
    }
    let upper = [("SIGNPOST__LOG__FORMAT".to_owned(), "JSON".to_owned())];
    assert_eq!(Config::from_text(GOOD, upper).unwrap().log.format, signpost::config::LogFormat::Json);
    let phone = [("SIGNPOST__HELP__PHONE".to_owned(), "1".to_owned())];
    assert!(Config::from_text(GOOD, phone).is_err(), "a text stays a text");
}

#[test]
fn invalid_and_empty_values_are_refused_with_key_value_and_form() {
    for (name, value, expected) in [
        ("SERVER__LISTEN", "", &["(server.listen)", "is empty", "an IP address and a port", "Unset the variable"][..]),
        ("SERVER__PUBLIC_URL", " ", &["(server.public_url)", "is empty", "a URL such as"]),
        ("SESSIONS__IDLE_MINUTES", "", &["(sessions.idle_minutes)", "is empty", "a whole number"]),
        ("HELP__PHONE", "", &["(help.phone)", "is empty", "a text"]),
        ("LIMITS__EXEMPT_LOOPBACK", "", &["(limits.exempt_loopback)", "is empty", "true or false"]),
        ("LOG__FORMAT", "", &["(log.format)", "is empty", "`text` or `json`"]),
        ("SECRETS__KEYS", "", &["(secrets.keys)", "is empty", "a list of texts"]),
        ("SERVER__LISTEN", "nowhere", &["(server.listen)", "\"nowhere\"", "an IP address and a port"]),
        (
            "SERVER__LISTEN",
            "unix:http.sock",
            &["(server.listen)", "an absolute path of at most 95 bytes", "\"unix:http.sock\""],
        ),
        ("SERVER__UNIX_SOCKET_MODE", "rw", &["(server.unix_socket_mode)", "octal digits", "\"0660\"", "not \"rw\""]),
        ("SERVER__UNIX_SOCKET_MODE", "1777", &["(server.unix_socket_mode)", "from \"0600\" to \"0777\"", "not 1777"]),
        ("SERVER__PROXY_PROTOCOL", "true", &["server.trusted_proxies: missing", "List their addresses"]),
        ("SESSIONS__IDLE_MINUTES", "soon", &["(sessions.idle_minutes)", "\"soon\"", "a whole number"]),
        ("LIMITS__EXEMPT_LOOPBACK", "maybe", &["(limits.exempt_loopback)", "\"maybe\"", "yes, no, on, off"]),
        ("LEGACY__LOGIN_URL", "classic.example", &["(legacy.login_url)", "\"classic.example\"", "a URL such as"]),
        ("LOG__FORMAT", "xml", &["(log.format)", "xml", "`json`"]),
    ] {
        let found = problems(GOOD, &[(&format!("SIGNPOST__{name}"), value)]);
        assert!(!found.is_empty(), "{name}={value:?}");
        assert!(expected.iter().all(|part| found[0].contains(part)), "{name}={value:?}: {found:?}");
    }
    let found = problems(&format!("{GOOD}\n[limits]\nexempt_loopback = \"maybe\""), &[]);
    assert!(found[0].starts_with("limits.exempt_loopback: expected true or false"), "{found:?}");
    assert!(found[0].ends_with("not \"maybe\""), "{found:?}");
    let secret = [("SIGNPOST__MAIL__PASSWORD", "[\"s3cr3t\"]")];
    assert_eq!(problems(GOOD, &secret), Vec::<String>::new(), "a secret is text, whatever it looks like");
}

#[test]
fn mail_and_private_networks_are_checked() {
    let mail = |server: &str, from: &str| {
        problems(&format!("{GOOD}\n[mail]\nserver = \"{server}\"\nfrom = \"{from}\"\ntls = \"none\""), &[])
    };
    assert_eq!(mail("mail.example.com", "Example Pay <a@b.example>"), Vec::<String>::new());
    assert!(mail("smtp://mail.example.com", "a@b.example")[0].starts_with("mail.server: \"smtp://mail.example.com\""));
    assert!(mail("mail.example.com", "a@b.example, c@d.example")[0].starts_with("mail.from: "));
    let networks = |list: &str| problems(&format!("{GOOD}\n[oidc]\nallow_private_networks = [{list}]"), &[]);
    assert_eq!(networks("\"10.20.0.0/16\", \"192.168.7.9\""), Vec::<String>::new());
    assert!(networks("\"169.254.0.0/16\"")[0].contains("169.254.0.0/16 is not within 10.0.0.0/8"));
    let internal = GOOD.replace("https://portal.example.com", "https://10.20.1.1");
    assert!(problems(&internal, &[])[0].contains("oidc.allow_private_networks"));
    let allowed = format!("{internal}\n[oidc]\nallow_private_networks = [\"10.20.0.0/16\"]");
    assert_eq!(problems(&allowed, &[]), Vec::<String>::new());
}

#[test]
fn durations_are_numbers_in_the_unit_of_the_key_or_texts() {
    let minutes = |value: &str| {
        Config::from_text(&format!("{GOOD}\n[sessions]\nidle_minutes = {value}"), [])
            .map(|config| config.sessions.idle_minutes)
            .map_err(|problems| problems.0)
    };
    for (value, expected) in [("45", 45), ("\"45m\"", 45), ("\"120s\"", 2), ("\"2h\"", 120), ("\"1d\"", 1440)] {
        assert_eq!(minutes(value).unwrap(), expected, "{value}");
    }
    for value in ["\"90s\"", "\"soon\"", "\"5\"", "\"5w\"", "\"-5m\"", "-5", "true", "\"99999999999999999999d\""] {
        let found = minutes(value).unwrap_err();
        let form = "sessions.idle_minutes: expected a whole number of minutes, or a duration such as \"30m\"";
        assert!(found[0].starts_with(form), "{value}: {found:?}");
    }
    let variable = [("SIGNPOST__AUDIT__EVENT_RETENTION_DAYS".to_owned(), "30d".to_owned())];
    assert_eq!(Config::from_text(GOOD, variable).unwrap().audit.event_retention_days, 30);
}

#[test]
fn unknown_names_are_refused_with_the_similar_one() {
    for (variable, expected) in [
        ("SIGNPOST__SERVER__LISTN", "SIGNPOST__SERVER__LISTN (server.listn): unknown setting; did you mean listen?"),
        ("SIGNPOST__SEVER__LISTEN", "SIGNPOST__SEVER__LISTEN: unknown section sever; did you mean server?"),
        ("SIGNPOST__SERVER__ZZZ", "SIGNPOST__SERVER__ZZZ (server.zzz): unknown setting"),
    ] {
        assert_eq!(problems(GOOD, &[(variable, "127.0.0.1:9")]), [expected]);
    }
    assert_eq!(problems(&format!("{GOOD}\n[sesions]"), &[]), ["sesions: unknown section; did you mean sessions?"]);
    let found = problems(&format!("{GOOD}\n[[legacy_paths]]\npath = \"/old\"\nbiler = \"x\""), &[]);
    assert_eq!(found, ["legacy_paths.0.biler: unknown setting; did you mean biller?"]);
}

#[test]
fn every_default_of_the_reference_is_a_valid_setting() {
    let sections = signpost::config::reference();
    assert_eq!(sections.len(), 19);
    for section in sections {
        for setting in section.settings {
            let name = format!("{}.{}", section.name, setting.key);
            assert!(setting.meaning.len() > 10 && !setting.kind.is_empty(), "{name} is not described");
            assert!(
                setting.default.is_some() || setting.example.is_some() || section.is_list || name.contains("trusted"),
                "{name}"
            );
            let (Some(default), false) = (setting.default, section.is_list) else { continue };
            let text = signpost::config::toml_text(&default);
            let variable = setting.variable.unwrap();
            assert_eq!(problems(GOOD, &[(&variable, &text)]), Vec::<String>::new(), "{variable}={text}");
        }
    }
}
