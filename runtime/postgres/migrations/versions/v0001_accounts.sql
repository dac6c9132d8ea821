-- An account: one exchange account with all its symbols. Only the holder of its lease writes anything of it.
-- `last_commit` names the latest write under that lease: the next one must know it, so that a decision on anything
-- older is refused, and a write whose answer was lost can be looked for.
CREATE TABLE accounts (
    account text COLLATE "C" PRIMARY KEY,
    namespace text NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    holder text COLLATE "C",
    expires_at timestamptz,
    timeline text,
    wanted_by text COLLATE "C",
    last_commit uuid NOT NULL DEFAULT gen_random_uuid()
) WITH (fillfactor = 50)
----
-- `serves` are the accounts that a worker can run at present.
CREATE TABLE workers (
    worker text COLLATE "C" PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    serves text[] NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50)
----
CREATE TABLE labels (
    account text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (account, key)
)
----
-- The label `account` says whose account at an exchange it is: one of the exchange's has one set of books here.
CREATE UNIQUE INDEX labels_one_account ON labels (value) WHERE key = 'account'
----
-- `due_at` repeats the instant of the running timer that is in the snapshot, for whoever watches over timers.
-- No index holds what changes with a transition: the new row then stays on the page of the old one.
CREATE TABLE instances (
    account text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    machine text NOT NULL,
    digest text NOT NULL,
    version bigint NOT NULL,
    phase text NOT NULL,
    updated_at bigint NOT NULL,
    due_at bigint,
    snapshot bytea NOT NULL,
    PRIMARY KEY (account, instance)
) WITH (fillfactor = 50)
----
-- `epoch` is the one of the lease under which the row was written.
CREATE TABLE audit (
    account text COLLATE "C" NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    instance text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    at bigint NOT NULL,
    event text NOT NULL,
    identity text NOT NULL,
    outcome text NOT NULL,
    phase_from text NOT NULL,
    phase_to text NOT NULL,
    branch text NOT NULL,
    actions text NOT NULL,
    requested text NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    error text NOT NULL,
    digest text NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (account, seq)
)
----
CREATE INDEX audit_by_instance ON audit (account, instance, seq)
----
CREATE TABLE identities (
    account text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    identity text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    receipt bytea NOT NULL,
    PRIMARY KEY (account, instance, identity)
)
----
CREATE TABLE outbox (
    account text COLLATE "C" NOT NULL,
    intent_id text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    effect text NOT NULL,
    number bigint NOT NULL,
    request bytea NOT NULL,
    generation bigint NOT NULL,
    created_at bigint NOT NULL,
    attempt bigint NOT NULL,
    claimed_at bigint NOT NULL,
    deadline bigint NOT NULL,
    outcome text,
    PRIMARY KEY (account, intent_id)
)
----
CREATE INDEX outbox_open ON outbox (account, created_at) WHERE outcome IS NULL
----
CREATE TABLE journal (
    account text COLLATE "C" NOT NULL,
    entry_id text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    details json NOT NULL,
    postings json NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (account, entry_id)
)
----
CREATE INDEX journal_in_order ON journal (account, seq)
----
-- numeric without a precision adds exactly, whatever the number of digits.
CREATE TABLE balances (
    account text COLLATE "C" NOT NULL,
    ledger_account text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (account, ledger_account, currency)
) WITH (fillfactor = 50)
----
CREATE TABLE reservations (
    account text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    cash numeric NOT NULL,
    slots bigint NOT NULL,
    PRIMARY KEY (account, instance)
)
----
CREATE TABLE inbox (
    message bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    event text NOT NULL,
    payload bytea NOT NULL,
    id text COLLATE "C",
    at bigint NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    refused text,
    UNIQUE (account, instance, id)
)
----
CREATE INDEX inbox_waiting ON inbox (account, message) WHERE refused IS NULL
----
CREATE INDEX inbox_refused ON inbox (account, message) WHERE refused IS NOT NULL
----
-- Take the account's row for a write under a lease, and keep it until the transaction ends: whoever wants to take the
-- account over waits for that. SQLSTATE PW001: the lease is not alive. PW002: somebody else has written under it.
CREATE FUNCTION fence(p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r accounts%ROWTYPE;
BEGIN
    UPDATE accounts SET last_commit = p_commit
    WHERE account = p_account AND holder = p_worker AND epoch = p_epoch AND last_commit = p_previous
        AND expires_at > clock_timestamp();
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO r FROM accounts WHERE account = p_account;
    PERFORM require_lease(r, p_account, p_worker, p_epoch);
    RAISE EXCEPTION 'somebody else has written to account % under the same lease', p_account
        USING ERRCODE = 'PW002';
END $$
----
CREATE FUNCTION require_lease(r accounts, p_account text, p_worker text, p_epoch bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF r.account IS NULL THEN
        RAISE EXCEPTION 'there is no account %', p_account USING ERRCODE = 'PW001';
    ELSIF r.epoch <> p_epoch OR r.holder IS DISTINCT FROM p_worker THEN
        RAISE EXCEPTION 'account % is held by % in epoch %, no longer by % in epoch %',
            p_account, coalesce(r.holder, 'nobody'), r.epoch, p_worker, p_epoch USING ERRCODE = 'PW001';
    ELSIF r.expires_at IS NULL OR r.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the lease of % on account % ran out at %', p_worker, p_account, r.expires_at
            USING ERRCODE = 'PW001';
    END IF;
END $$
----
-- Whether the write `p_commit`, whose answer was lost, is there (true). If not (false), it never will be: `p_next`
-- takes the place of `p_previous`, which that write would need. May be asked again when its own answer is lost.
CREATE FUNCTION settle(
    p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid, p_next uuid
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    r accounts%ROWTYPE;
BEGIN
    SELECT * INTO r FROM accounts WHERE account = p_account FOR NO KEY UPDATE;
    PERFORM require_lease(r, p_account, p_worker, p_epoch);
    IF r.last_commit = p_commit THEN
        RETURN true;
    ELSIF r.last_commit = p_previous THEN
        UPDATE accounts SET last_commit = p_next WHERE account = p_account;
    ELSIF r.last_commit <> p_next THEN
        RAISE EXCEPTION 'somebody else has written to account % under the same lease', p_account
            USING ERRCODE = 'PW002';
    END IF;
    RETURN false;
END $$
----
-- A group of commits. Arrays of one part run in parallel; an instance, an identity, a balance or a reservation occurs
-- once in a group. What is rare comes last, and may be left out. SQLSTATE PW001 and PW002 as of `fence`, PW002 also for
-- an instance or intent that is not as expected.
CREATE FUNCTION commit_group(
    p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid,
    p_instance text[], p_expected bigint[], p_machine text[], p_digest text[], p_version bigint[], p_phase text[],
    p_updated_at bigint[], p_due_at bigint[], p_snapshot bytea[],
    a_instance text[], a_version bigint[], a_at bigint[], a_event text[], a_identity text[], a_outcome text[],
    a_phase_from text[], a_phase_to text[], a_branch text[], a_actions text[], a_requested text[], a_payload bytea[],
    a_reason text[], a_error text[], a_digest text[],
    i_instance text[], i_identity text[], i_at bigint[], i_receipt bytea[],
    p_answered bigint[] DEFAULT '{}',
    o_intent_id text[] DEFAULT '{}', o_instance text[] DEFAULT '{}', o_effect text[] DEFAULT '{}',
    o_number bigint[] DEFAULT '{}', o_request bytea[] DEFAULT '{}', o_generation bigint[] DEFAULT '{}',
    o_created_at bigint[] DEFAULT '{}', o_attempt bigint[] DEFAULT '{}', o_claimed_at bigint[] DEFAULT '{}',
    o_deadline bigint[] DEFAULT '{}',
    f_intent_id text[] DEFAULT '{}', f_attempt bigint[] DEFAULT '{}', f_outcome text[] DEFAULT '{}',
    p_unchanged text[] DEFAULT '{}', p_unchanged_version bigint[] DEFAULT '{}',
    j_entry_id text[] DEFAULT '{}', j_instance text[] DEFAULT '{}', j_at bigint[] DEFAULT '{}',
    j_kind text[] DEFAULT '{}', j_details text[] DEFAULT '{}', j_postings text[] DEFAULT '{}',
    b_ledger_account text[] DEFAULT '{}', b_currency text[] DEFAULT '{}', b_amount numeric[] DEFAULT '{}',
    r_instance text[] DEFAULT '{}', r_currency text[] DEFAULT '{}', r_cash numeric[] DEFAULT '{}',
    r_slots bigint[] DEFAULT '{}',
    p_released text[] DEFAULT '{}'
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
    added bigint;
    wrong text;
BEGIN
    PERFORM fence(p_account, p_worker, p_epoch, p_previous, p_commit);

    IF cardinality(p_instance) > 0 THEN
        UPDATE instances t
        SET machine = n.machine, digest = n.digest, version = n.version, phase = n.phase, updated_at = n.updated_at,
            due_at = n.due_at, snapshot = n.snapshot
        FROM unnest(p_instance, p_expected, p_machine, p_digest, p_version, p_phase, p_updated_at, p_due_at, p_snapshot)
            AS n (instance, expected, machine, digest, version, phase, updated_at, due_at, snapshot)
        WHERE t.account = p_account AND t.instance = n.instance AND t.version = n.expected;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written < cardinality(p_instance) THEN
            INSERT INTO instances
            SELECT p_account, n.instance, n.machine, n.digest, n.version, n.phase, n.updated_at, n.due_at, n.snapshot
            FROM unnest(
                p_instance, p_expected, p_machine, p_digest, p_version, p_phase, p_updated_at, p_due_at, p_snapshot
            ) AS n (instance, expected, machine, digest, version, phase, updated_at, due_at, snapshot)
            WHERE n.expected = 0
            ON CONFLICT DO NOTHING;
            GET DIAGNOSTICS added = ROW_COUNT;
            IF written + added < cardinality(p_instance) THEN
                SELECT format('%s is at version %s, not %s', n.instance, coalesce(t.version, 0), n.expected) INTO wrong
                FROM unnest(p_instance, p_expected, p_version) AS n (instance, expected, version)
                LEFT JOIN instances t ON t.account = p_account AND t.instance = n.instance
                WHERE coalesce(t.version, 0) <> n.version
                LIMIT 1;
                -- None is found where somebody else has written the version that this group would write.
                wrong := coalesce(wrong, array_to_string(p_instance, ', ') || ': written by somebody else');
                RAISE EXCEPTION '%', wrong USING ERRCODE = 'PW002';
            END IF;
        END IF;
    END IF;
    IF cardinality(p_unchanged) > 0 THEN
        SELECT format('%s is at version %s, not %s', n.instance, coalesce(t.version, 0), n.version) INTO wrong
        FROM unnest(p_unchanged, p_unchanged_version) AS n (instance, version)
        LEFT JOIN instances t ON t.account = p_account AND t.instance = n.instance
        WHERE coalesce(t.version, 0) <> n.version
        LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION '%', wrong USING ERRCODE = 'PW002';
        END IF;
    END IF;

    IF cardinality(a_instance) > 0 THEN
        INSERT INTO audit (
            account, instance, version, at, event, identity, outcome, phase_from, phase_to, branch, actions, requested,
            payload, reason, error, digest, epoch
        )
        SELECT p_account, n.*, p_epoch
        FROM unnest(
            a_instance, a_version, a_at, a_event, a_identity, a_outcome, a_phase_from, a_phase_to, a_branch, a_actions,
            a_requested, a_payload, a_reason, a_error, a_digest
        ) AS n;
    END IF;
    IF cardinality(i_instance) > 0 THEN
        INSERT INTO identities
        SELECT p_account, n.* FROM unnest(i_instance, i_identity, i_at, i_receipt) AS n
        ON CONFLICT (account, instance, identity) DO UPDATE SET at = excluded.at, receipt = excluded.receipt;
    END IF;
    IF cardinality(o_intent_id) > 0 THEN
        INSERT INTO outbox
        SELECT p_account, n.*
        FROM unnest(
            o_intent_id, o_instance, o_effect, o_number, o_request, o_generation, o_created_at, o_attempt,
            o_claimed_at, o_deadline
        ) AS n;
    END IF;
    IF cardinality(f_intent_id) > 0 THEN
        UPDATE outbox t SET outcome = n.outcome
        FROM unnest(f_intent_id, f_attempt, f_outcome) AS n (intent_id, attempt, outcome)
        WHERE t.account = p_account AND t.intent_id = n.intent_id AND t.attempt = n.attempt AND t.outcome IS NULL;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written < cardinality(f_intent_id) THEN
            RAISE EXCEPTION 'one of the intents % is finished, or no longer at its attempt', f_intent_id
                USING ERRCODE = 'PW002';
        END IF;
    END IF;
    IF cardinality(j_entry_id) > 0 THEN
        INSERT INTO journal (account, entry_id, instance, at, kind, details, postings)
        SELECT p_account, n.entry_id, n.instance, n.at, n.kind, n.details::json, n.postings::json
        FROM unnest(j_entry_id, j_instance, j_at, j_kind, j_details, j_postings)
            AS n (entry_id, instance, at, kind, details, postings);
        INSERT INTO balances AS t
        SELECT p_account, n.* FROM unnest(b_ledger_account, b_currency, b_amount) AS n
        ON CONFLICT (account, ledger_account, currency) DO UPDATE SET amount = t.amount + excluded.amount;
    END IF;
    IF cardinality(r_instance) > 0 THEN
        INSERT INTO reservations
        SELECT p_account, n.* FROM unnest(r_instance, r_currency, r_cash, r_slots) AS n
        ON CONFLICT (account, instance)
        DO UPDATE SET currency = excluded.currency, cash = excluded.cash, slots = excluded.slots;
    END IF;
    IF cardinality(p_released) > 0 THEN
        DELETE FROM reservations WHERE account = p_account AND instance = ANY (p_released);
    END IF;
    IF cardinality(p_answered) > 0 THEN
        DELETE FROM inbox WHERE account = p_account AND message = ANY (p_answered);
    END IF;
END $$
----
-- A further attempt of an open intent. SQLSTATE PW002 when the intent is finished or its attempt not the one before.
CREATE FUNCTION claim_intent(
    p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid,
    p_intent_id text, p_attempt bigint, p_claimed_at bigint, p_deadline bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence(p_account, p_worker, p_epoch, p_previous, p_commit);
    UPDATE outbox SET attempt = p_attempt, claimed_at = p_claimed_at, deadline = p_deadline
    WHERE account = p_account AND intent_id = p_intent_id AND attempt = p_attempt - 1 AND outcome IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'intent % is finished, or not at attempt %', p_intent_id, p_attempt - 1
            USING ERRCODE = 'PW002';
    END IF;
END $$
----
CREATE FUNCTION forget_identities(
    p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid, p_before bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    forgotten bigint;
BEGIN
    PERFORM fence(p_account, p_worker, p_epoch, p_previous, p_commit);
    DELETE FROM identities WHERE account = p_account AND at < p_before;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$
----
CREATE FUNCTION set_label(
    p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid, p_key text, p_value text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence(p_account, p_worker, p_epoch, p_previous, p_commit);
    INSERT INTO labels VALUES (p_account, p_key, p_value)
    ON CONFLICT (account, key) DO UPDATE SET value = excluded.value;
END $$
----
-- Everything of an account but its row and its lease.
CREATE FUNCTION clear_account(
    p_account text, p_worker text, p_epoch bigint, p_previous uuid, p_commit uuid, p_namespace text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fence(p_account, p_worker, p_epoch, p_previous, p_commit);
    UPDATE accounts SET namespace = p_namespace WHERE account = p_account;
    DELETE FROM labels WHERE account = p_account;
    DELETE FROM instances WHERE account = p_account;
    DELETE FROM audit WHERE account = p_account;
    DELETE FROM identities WHERE account = p_account;
    DELETE FROM outbox WHERE account = p_account;
    DELETE FROM journal WHERE account = p_account;
    DELETE FROM balances WHERE account = p_account;
    DELETE FROM reservations WHERE account = p_account;
    DELETE FROM inbox WHERE account = p_account;
END $$
