-- Schema 6. Times are minutes or nanoseconds since 1970, energy is Wh, money minor units.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE markets (
    market INTEGER PRIMARY KEY,
    slot_minutes INTEGER NOT NULL
) STRICT;

CREATE TABLE parties (
    role INTEGER NOT NULL,
    number INTEGER NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (role, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE meters (
    meter INTEGER PRIMARY KEY,
    platform INTEGER NOT NULL,
    retailer INTEGER NOT NULL,
    utility INTEGER NOT NULL,
    code TEXT NOT NULL,
    injection_max INTEGER NOT NULL,
    withdrawal_max INTEGER NOT NULL
) STRICT;

-- What a utility says of a meter from a moment on. '' and role 255: as before.
CREATE TABLE meter_points (
    meter INTEGER NOT NULL,
    from_minute INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    zone TEXT NOT NULL,
    feeder TEXT NOT NULL,
    role INTEGER NOT NULL,
    number INTEGER NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (meter, from_minute, revision)
) STRICT, WITHOUT ROWID;

-- Names of meters in files of their signers.
CREATE TABLE meter_codes (
    role INTEGER NOT NULL,
    number INTEGER NOT NULL,
    code TEXT NOT NULL,
    meter INTEGER NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (role, number, code)
) STRICT, WITHOUT ROWID;

-- A slot with contracts. Dirty: something about it changed since it was last verified. Waiting: at
-- this minute contracts without readings are settled provisionally; NULL when none waits for it. Open: it may
-- have contracts that are not settled, or provisionally; an index over contracts would cost each of them.
CREATE TABLE slots (
    start_minute INTEGER NOT NULL,
    market INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    end_minute INTEGER NOT NULL,
    dirty INTEGER NOT NULL,
    waiting INTEGER,
    open INTEGER NOT NULL,
    PRIMARY KEY (start_minute, market, minutes)
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_dirty ON slots (end_minute) WHERE dirty = 1;
CREATE INDEX slots_waiting ON slots (waiting) WHERE waiting IS NOT NULL;
CREATE INDEX slots_open ON slots (start_minute) WHERE open = 1;

-- run: newest settlement run; posted_run: the run whose transfers are live; 0 is none. folio: start of the slot
-- for which it was captured, under which its transfers are kept. Contracts and transfers of one slot lie together,
-- because they are settled together. mechanism: how its money moves, decided when it was captured.
CREATE TABLE contracts (
    trade INTEGER NOT NULL,
    market INTEGER NOT NULL,
    start_minute INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    price INTEGER NOT NULL,
    energy INTEGER NOT NULL,
    buyer INTEGER NOT NULL,
    seller INTEGER NOT NULL,
    escrowed INTEGER NOT NULL,
    uncovered INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    state INTEGER NOT NULL,
    run INTEGER NOT NULL,
    posted_run INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    newest_leaf INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    provisional INTEGER NOT NULL DEFAULT 0,
    mechanism INTEGER NOT NULL,
    folio INTEGER NOT NULL,
    PRIMARY KEY (start_minute, market, minutes, trade)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX contracts_trade ON contracts (trade);
CREATE INDEX contracts_uncovered
    ON contracts ((CASE WHEN price < 0 THEN seller ELSE buyer END)) WHERE uncovered > 0;

CREATE TABLE meter_contracts (
    meter INTEGER NOT NULL,
    start_minute INTEGER NOT NULL,
    trade INTEGER NOT NULL,
    side INTEGER NOT NULL,
    PRIMARY KEY (meter, start_minute, trade, side)
) STRICT, WITHOUT ROWID;

-- What is still open under a contract, by the leg that wrote it down as owed.
CREATE TABLE debts (
    trade INTEGER NOT NULL,
    leg INTEGER NOT NULL,
    debtor INTEGER NOT NULL,
    creditor INTEGER NOT NULL,
    open INTEGER NOT NULL CHECK (open > 0),
    PRIMARY KEY (trade, leg, debtor)
) STRICT, WITHOUT ROWID;
CREATE INDEX debts_debtor ON debts (debtor, trade);

-- How long a party has owed something under a contract, and what was done about it. since: NULL
-- while nothing is open.
CREATE TABLE arrears (
    trade INTEGER NOT NULL,
    debtor INTEGER NOT NULL,
    since INTEGER,
    defaulted INTEGER,
    level INTEGER NOT NULL DEFAULT 0,
    fined INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (trade, debtor)
) STRICT, WITHOUT ROWID;
CREATE INDEX arrears_debtor ON arrears (debtor, defaulted);
CREATE INDEX arrears_level ON arrears (level);

-- What retailers decided about disconnecting meters. decision: 1 notice, 2 withdrawn.
CREATE TABLE disconnections (
    meter INTEGER NOT NULL,
    retailer INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    decision INTEGER NOT NULL,
    reason TEXT NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (meter, retailer, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX disconnections_document ON disconnections (document);

-- Money blocked at a payment rail. deposited: it came from the payer's deposits; used: captured or
-- given free.
CREATE TABLE blocks (
    trade INTEGER PRIMARY KEY,
    expires INTEGER NOT NULL,
    deposited INTEGER NOT NULL,
    used INTEGER NOT NULL
) STRICT;

-- Instructions that were carried out, so that their redelivery is recognised.
CREATE TABLE instructions (
    kind INTEGER NOT NULL,
    reference INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (kind, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE state_totals (
    state INTEGER PRIMARY KEY,
    contracts INTEGER NOT NULL,
    settled_wh INTEGER NOT NULL
) STRICT;

-- Credits minus debits.
CREATE TABLE accounts (
    account INTEGER PRIMARY KEY,
    balance INTEGER NOT NULL
) STRICT;

-- Append-only. id = shard * 2^59 + count * 2^24 + run * 2^8 + leg, of the contract shard * 2^48 + count;
-- of a deposit, -1 - reference; of a pay-out, -1 - (2^62 + owner * 2^24 + day * 2^8 + leg). folio: the contract's,
-- or 0.
CREATE TABLE transfers (
    folio INTEGER NOT NULL,
    id INTEGER NOT NULL,
    debit INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (folio, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER transfers_are_final BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;
CREATE TRIGGER transfers_are_kept BEFORE DELETE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append-only'); END;
CREATE VIEW transfer_details AS
SELECT folio, id,
    CASE WHEN id < 0 THEN NULL ELSE (id >> 59 << 48) | (id >> 24 & 34359738367) END AS contract,
    CASE WHEN id < 0 THEN NULL ELSE (id >> 8) & 65535 END AS run,
    CASE WHEN id >= 0 THEN id & 127 WHEN ~id >= 4611686018427387904 THEN ~id & 127 ELSE 13 END AS leg,
    CASE WHEN id < 0 THEN 0 ELSE (id >> 7) & 1 END AS reversal,
    debit, credit, amount
FROM transfers;

CREATE TABLE deposits (
    reference INTEGER PRIMARY KEY,
    meter INTEGER NOT NULL,
    amount INTEGER NOT NULL
) STRICT;

-- Accepted documents and evidence of equivocation, as they were received. leaf: of the ledger, with the
-- hash of salt and bytes.
CREATE TABLE documents (
    document INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    received INTEGER NOT NULL,
    signer_role INTEGER NOT NULL,
    signer INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    reject INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    salt BLOB,
    leaf INTEGER
) STRICT;

CREATE TABLE readings (
    start_minute INTEGER NOT NULL,
    meter INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    injected INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (start_minute, meter, minutes, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE curtailments (
    start_minute INTEGER NOT NULL,
    meter INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (start_minute, meter, minutes, revision)
) STRICT, WITHOUT ROWID;

-- Curtailments of zones and feeders ('' is all of the zone). side: 0 withdrawal, 1 injection.
CREATE TABLE zone_curtailments (
    source INTEGER PRIMARY KEY,
    utility INTEGER NOT NULL,
    zone TEXT NOT NULL,
    feeder TEXT NOT NULL,
    side INTEGER NOT NULL,
    start_minute INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    document INTEGER NOT NULL,
    UNIQUE (start_minute, utility, zone, feeder, side, minutes, revision)
) STRICT;

-- What such a curtailment leaves each meter, by the contracts there were when it was taken.
CREATE TABLE curtailed_meters (
    start_minute INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    source INTEGER NOT NULL,
    meter INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    PRIMARY KEY (start_minute, minutes, source, meter)
) STRICT, WITHOUT ROWID;

-- since: position at which a shard of the exchange put it in force, or 0; used: what was open and traded
-- there then; reason: code of the refusal, or 0.
CREATE TABLE grid_limits (
    utility INTEGER NOT NULL,
    zone TEXT NOT NULL,
    start_minute INTEGER NOT NULL,
    feeder TEXT NOT NULL,
    side INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    energy INTEGER NOT NULL,
    document INTEGER NOT NULL,
    shard INTEGER NOT NULL DEFAULT 0,
    since INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0,
    reason INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (utility, zone, start_minute, feeder, side, minutes, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX grid_limits_document ON grid_limits (document);

-- Outbox: what shards of the exchange are to be told of meters' places and of limits, until they answer.
-- Of a place only meter, zone, feeder, start_minute and revision count; '' is what is not said.
CREATE TABLE grid_outbox (
    shard INTEGER NOT NULL,
    number INTEGER NOT NULL,
    is_limit INTEGER NOT NULL,
    meter INTEGER NOT NULL,
    utility INTEGER NOT NULL,
    zone TEXT NOT NULL,
    feeder TEXT NOT NULL,
    side INTEGER NOT NULL,
    start_minute INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    energy INTEGER NOT NULL,
    PRIMARY KEY (shard, number)
) STRICT, WITHOUT ROWID;

-- What is contracted, by where the meters hang. changed: number of the transaction that changed it
-- last, of those that changed any.
CREATE TABLE schedule (
    utility INTEGER NOT NULL,
    zone TEXT NOT NULL,
    start_minute INTEGER NOT NULL,
    feeder TEXT NOT NULL,
    minutes INTEGER NOT NULL,
    injection INTEGER NOT NULL,
    withdrawal INTEGER NOT NULL,
    contracts INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (utility, zone, start_minute, feeder, minutes)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_changed ON schedule (utility, changed);

-- Outbox: what parties are told, by number. Of a contract, allowed: the most it may still move;
-- document: 0 for a new contract that its sides agreed on between themselves; of one that they changed its
-- version, negative, or -1 where that had no effect. trade: 0 where a utility is told of its limit in the
-- document, or where the document is below 0: -1 - document is the first of as many leaves as allowed says,
-- which have the numbers up to this one.
CREATE TABLE notices (
    notice INTEGER PRIMARY KEY,
    trade INTEGER NOT NULL,
    side INTEGER NOT NULL,
    allowed INTEGER NOT NULL,
    document INTEGER NOT NULL
) STRICT;

-- Verification cycles, a row for each transaction. market: 0 for all of them.
CREATE TABLE cycles (
    cycle INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    market INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    examined INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    awaiting INTEGER NOT NULL,
    provisional INTEGER NOT NULL
) STRICT;

CREATE TABLE leaves (
    leaf INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    frontier BLOB NOT NULL,
    note TEXT NOT NULL
) STRICT;
