//! Statements and schema as `PostgreSQL` writes them. The text that is translated is this program's own.

use std::collections::BTreeSet;

/// Functions that the schema has besides its tables: of two values, the larger and the smaller.
const FUNCTIONS: &str = "
CREATE FUNCTION max(a numeric, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
    RETURN greatest(a, b);
CREATE FUNCTION min(a numeric, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
    RETURN least(a, b);
";

/// What only `PostgreSQL` keeps. leases: who may write, by name; fence: how often it changed hands; until:
/// milliseconds since 1970 by the server's clock; session: the holder's, with its start.
const OWN_TABLES: &str = "
CREATE TABLE schema_version (version BIGINT PRIMARY KEY);
CREATE TABLE leases (
    name TEXT COLLATE \"C\" PRIMARY KEY,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    until BIGINT NOT NULL,
    session BIGINT NOT NULL,
    session_started TIMESTAMPTZ NOT NULL
);
";

/// The script that makes the schema.
pub(super) fn schema(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with("--"));
    let mut text = lines.map(schema_line).collect::<Vec<_>>().join("\n");
    for suffix in [") STRICT, WITHOUT ROWID;", ") STRICT;"] {
        text = text.replace(suffix, ");");
    }
    text = triggers(&text);
    format!("{OWN_TABLES}{FUNCTIONS}{text}")
}

fn schema_line(line: &str) -> String {
    line.replace(" INTEGER", " BIGINT")
        .replace(" BLOB", " BYTEA")
        .replace(" TEXT", " TEXT COLLATE \"C\"")
}

/// `… BEGIN SELECT RAISE(ABORT, 'text'); END;` becomes a function that says so, and its trigger.
fn triggers(text: &str) -> String {
    const HEAD: &str = "CREATE TRIGGER ";
    const RAISE: &str = "BEGIN SELECT RAISE(ABORT, ";
    let mut parts = text.split(HEAD);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (head, rest) = part.split_once(RAISE).unwrap_or((part, ""));
        let (reason, rest) = rest.split_once("); END;").unwrap_or((rest, ""));
        let name = head.split_whitespace().next().unwrap_or_default();
        made += &format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RAISE EXCEPTION {reason}; END$$;\n\
             {HEAD}{head} FOR EACH ROW EXECUTE FUNCTION {name}();{rest}"
        );
    }
    made
}

/// Before the index that `SQLite` is to use; a server chooses for itself.
const HINT: &str = " INDEXED BY ";

/// A statement with parameters as `$1`, and without the name of an index.
pub(super) fn statement(sql: &str) -> String {
    let parameters = |part: &str| part.replace('?', "$");
    sql.split_once(HINT).map_or_else(
        || parameters(sql),
        |(head, hinted)| {
            let rest = hinted.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{} {}", parameters(head), parameters(rest))
        },
    )
}

/// Names of the tables that a script creates.
pub(crate) fn tables(script: &str) -> BTreeSet<String> {
    let names = script.split("CREATE TABLE ").skip(1);
    names.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned).collect()
}

/// Words of a statement, as names are written.
pub(super) fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_chooses_its_index() {
        let hinted = "UPDATE a INDEXED BY b_1 SET c = ?2 WHERE d = ?1";
        assert_eq!(statement(hinted), "UPDATE a SET c = $2 WHERE d = $1");
    }

    #[test]
    fn a_schema_is_translated() {
        let script = "-- Said.\nCREATE TABLE a (\n    b INTEGER PRIMARY KEY,\n    c TEXT NOT NULL,\n    d BLOB\n) STRICT;
CREATE TRIGGER a_is_final BEFORE UPDATE ON a
BEGIN SELECT RAISE(ABORT, 'no'); END;";
        let text = schema(script);
        let expected = "CREATE TABLE a (\n    b BIGINT PRIMARY KEY,\n    c TEXT COLLATE \"C\" NOT NULL,\n    d BYTEA\n);
CREATE FUNCTION a_is_final() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$;
CREATE TRIGGER a_is_final BEFORE UPDATE ON a
 FOR EACH ROW EXECUTE FUNCTION a_is_final();";
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(tables(script).into_iter().collect::<Vec<_>>(), ["a"]);
    }
}
