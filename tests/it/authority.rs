//! `gridcross ca` as its users run it, and what other programs think of its files.

use std::{path::Path, process::Command};

use tests::program::gridcross;

/// Runs the program; gives its exit code and what it said on both channels.
fn ca(arguments: &[&str], dir: &Path) -> (i32, String) {
    let output = gridcross(["ca"].iter().chain(arguments)).current_dir(dir).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// Runs another program in `dir`. None when this machine does not have it.
fn other(dir: &Path, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program).args(arguments).current_dir(dir).output().ok()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Some((output.status.success(), text))
}

#[test]
fn an_authority_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let done = |arguments: &[&str]| {
        let (code, text) = ca(arguments, dir.path());
        assert_eq!(code, 0, "{arguments:?}: {text}");
        text
    };
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let (got, text) = ca(arguments, dir.path());
        assert!(got == code && text.contains(words), "{arguments:?}: {got} {text}");
    };
    refused(&["list", "--dir", "keys"], 3, "gridcross ca init");
    done(&["init", "keys"]);
    refused(&["init", "keys"], 3, "ca.key");
    done(&["issue", "--dir", "keys", "server", "--host", "exchange.example"]);
    done(&["issue", "--dir", "keys", "platform/7", "--days", "20"]);
    refused(&["issue", "--dir", "keys", "platform/7"], 2, "`renew` or `revoke`");
    refused(&["issue", "--dir", "keys", "platform/x"], 2, "names nobody");
    refused(&["issue", "--dir", "keys", "authority/prosumer"], 2, "only `ca init`");
    refused(&["issue", "--dir", "keys", "platform/8", "--csr", "none"], 2, "cannot be read");
    done(&["issue", "--dir", "keys", "meter/17", "--signing"]);
    done(&["renew", "--dir", "keys", "platform/7"]);
    refused(&["renew", "--dir", "keys", "meter/17"], 2, "no certificate");
    done(&["revoke", "--dir", "keys", "meter/17", "--signing", "--reason", "superseded"]);
    refused(&["revoke", "--dir", "keys", "meter/17", "--signing"], 2, "no certificate");
    done(&["crl", "--dir", "keys", "--days", "7"]);
    let list = done(&["list", "--dir", "keys", "--output", "csv"]);
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split(',').collect()).collect();
    let header = "serial,holder,purpose,not_before,not_after,state,revoked,reason";
    assert_eq!(rows[0].join(","), header);
    let of = |holder: &str| {
        let rows = rows.iter().filter(|row| row[1] == holder);
        rows.map(|row| format!("{} {} {}", row[2], row[5], row[7])).collect::<Vec<_>>()
    };
    assert_eq!(of("platform/7"), ["transport valid ", "transport valid "]);
    assert_eq!(of("meter/17"), ["signing revoked superseded"]);
    assert_eq!(of("authority/retailer"), ["signing valid "]);
    let soon = done(&["list", "--dir", "keys", "--expiring", "30", "--output", "csv"]);
    assert_eq!(soon.lines().count(), 2, "the header and the first of platform 7: {soon}");
}

#[test]
fn other_programs_understand_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| other(dir.path(), program, arguments);
    let Some((true, _)) = run("openssl", &["version"]) else {
        println!("skipped: no openssl on this machine");
        return;
    };
    let openssl = |arguments: &[&str], words: &str| {
        let (_, text) = run("openssl", arguments).unwrap();
        assert!(text.contains(words), "{arguments:?}: {text}");
    };
    for arguments in [
        &["init", "keys"][..],
        &["issue", "--dir", "keys", "server"],
        &["issue", "--dir", "keys", "platform/7"],
        &["issue", "--dir", "keys", "platform/8"],
        &["revoke", "--dir", "keys", "platform/8"],
    ] {
        assert_eq!(ca(arguments, dir.path()).0, 0, "{arguments:?}");
    }
    // A signing request by another program, whose key never comes here.
    openssl(&["genpkey", "-algorithm", "ED25519", "-out", "own.key"], "");
    openssl(&["req", "-new", "-key", "own.key", "-subj", "/CN=whoever", "-out", "own.csr"], "");
    let issued = ca(&["issue", "--dir", "keys", "platform/9", "--csr", "own.csr"], dir.path());
    assert_eq!(issued.0, 0, "{}", issued.1);
    openssl(&["x509", "-in", "keys/platform-9.crt", "-noout", "-text"], "gridcross://platform/9");

    let verify = |name: &str, words: &str| {
        let file = format!("keys/{name}.crt");
        let check = ["verify", "-crl_check_all", "-CRLfile", "keys/crl.pem", "-CAfile"];
        let purpose = if name == "server" { "sslserver" } else { "sslclient" };
        let rest = ["keys/ca.crt", "-untrusted", &file, "-purpose", purpose, &file];
        openssl(&[&check[..], &rest[..]].concat(), words);
    };
    verify("platform-7", "platform-7.crt: OK");
    verify("platform-9", "platform-9.crt: OK");
    verify("server", "server.crt: OK");
    verify("platform-8", "certificate revoked");
    openssl(&["pkey", "-in", "keys/platform-7.key", "-noout", "-text"], "ED25519 Private-Key");
    openssl(&["crl", "-in", "keys/crl.pem", "-noout", "-text"], "Next Update");

    let python = "import ssl\n\
         context = ssl.create_default_context(cafile='keys/ca.crt')\n\
         context.load_cert_chain('keys/platform-7.crt', 'keys/platform-7.key')\n\
         context.load_cert_chain('keys/platform-9.crt', 'own.key')\n\
         print('loaded')";
    match run("python3", &["-c", python]) {
        Some((_, text)) => assert!(text.contains("loaded"), "{text}"),
        None => println!("skipped: no python3 on this machine"),
    }
    let node = "const fs = require('fs'), tls = require('tls');\n\
         const read = name => fs.readFileSync('keys/' + name);\n\
         const [ca, cert, key] = ['ca.crt', 'platform-7.crt', 'platform-7.key'].map(read);\n\
         tls.createSecureContext({ca, cert, key}); console.log('loaded')";
    match run("node", &["-e", node]) {
        Some((_, text)) => assert!(text.contains("loaded"), "{text}"),
        None => println!("skipped: no node on this machine"),
    }
}
