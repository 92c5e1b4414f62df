-- What is asked of payment rails. instruction: its number; next: nanoseconds at which something is to be
-- done about it; day: of its value, counted from 1970; lapsed: the minute a block ended at, told before it
-- was known to be placed; block: that of a capture or release; body: what was sent, byte for byte.
CREATE TABLE rail_instructions (
    instruction INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    trade INTEGER,
    role INTEGER NOT NULL,
    number INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    block INTEGER,
    state INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next INTEGER NOT NULL,
    day INTEGER,
    lapsed INTEGER,
    body BLOB
) STRICT;
CREATE INDEX rail_instructions_next ON rail_instructions (next, instruction) WHERE state <= 4;
CREATE INDEX rail_instructions_trade ON rail_instructions (trade, kind) WHERE trade IS NOT NULL;
CREATE INDEX rail_instructions_day ON rail_instructions (day) WHERE day IS NOT NULL;

-- Events that were taken, or kept as evidence, by the rail's numbers.
CREATE TABLE rail_events (
    event TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    answer INTEGER NOT NULL,
    day INTEGER NOT NULL,
    instruction INTEGER,
    reference TEXT,
    amount INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX rail_events_day ON rail_events (day);
CREATE INDEX rail_events_instruction ON rail_events (instruction) WHERE instruction IS NOT NULL;

-- Which transfers between the world and the books came of which movement at the rail.
CREATE TABLE rail_bookings (
    transfer INTEGER PRIMARY KEY,
    folio INTEGER NOT NULL,
    reference TEXT NOT NULL,
    day INTEGER NOT NULL
) STRICT;
CREATE INDEX rail_bookings_day ON rail_bookings (day);
