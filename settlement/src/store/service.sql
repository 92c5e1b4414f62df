-- What the ledger service adds to contracts.

-- What platforms call a contract.
CREATE TABLE service_names (
    transaction_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    trade INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (transaction_id, item_id)
) STRICT, WITHOUT ROWID;

-- Requests that callers numbered, so that another body under the same number is recognised.
CREATE TABLE service_requests (
    role INTEGER NOT NULL,
    number INTEGER NOT NULL,
    transaction_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    reference TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (role, number, transaction_id, item_id, reference)
) STRICT, WITHOUT ROWID;

-- What the distribution company of a side said last. energy: Wh, or NULL.
CREATE TABLE service_reports (
    trade INTEGER NOT NULL,
    side INTEGER NOT NULL,
    status INTEGER NOT NULL,
    energy INTEGER,
    created INTEGER NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (trade, side)
) STRICT, WITHOUT ROWID;

-- What call auctions came to. price, reference: NULL where there was none.
CREATE TABLE auctions (
    start_minute INTEGER NOT NULL,
    market INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    rule INTEGER NOT NULL,
    price INTEGER,
    volume INTEGER NOT NULL,
    surplus INTEGER NOT NULL,
    reference INTEGER,
    PRIMARY KEY (start_minute, market, minutes, shard, seq)
) STRICT, WITHOUT ROWID;
