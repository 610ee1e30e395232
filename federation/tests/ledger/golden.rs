//! The formats of level 1, byte for byte: `testdata/golden/level-1`. Every file is made again in
//! memory and compared; each document is read and written again; the log is replayed to the
//! outcomes, the digest and the snapshot that it had when the level was released.
//!
//! A file of a released level never changes. Nothing here writes one: for a new level, copy what a
//! failing test prints, and look at each line of it.

use std::path::PathBuf;

use exequatur_federation::{
    jose::sha256,
    ledger::{
        AcknowledgeKey, ActivateConfig, ActivateKey, AnnounceConfig, Batch, Command, ConfigScope,
        Digest, EntryPayload, Fixed, IdentityKey, Join, KeyPurpose, Kind, Leave, Ledger, LedgerKey,
        List, LogEntry, LogId, Member, Membership, Mode, Objection, Outcome, Proposal, PublishKey,
        RaiseLevel, RegionEntry, RegionState, RetireKey, RevokeKey, RevokeRegion, SnapshotHead,
        Target, Tick, Vote, envelope,
    },
    membership::{
        Anchor, End, Greeting, Hello, HelloRefused, Invitation, Invite, LevelRange,
        NodeDescription, NodeTicket,
    },
    revocation::ListId,
};

use super::{
    checkpoints::{Log, anchor, cosign, cosignature, name},
    regions::set,
    revocations::status,
    world::{
        DAY, LEDGER, LEVELS, NOW, at, batch, description, digest_of, entries, entry, founding,
        genesis, header, identity, identity_pair, kid, law, ledger_key, node, pair, proposal,
        publish, region, revoke, sign, signed, ticket, vouched,
    },
};

const LINE: usize = 96;

/// What is in a file, and whether it reads as itself.
struct Document {
    name: String,
    bytes: Vec<u8>,
    again: Again,
}

/// Reads a file, if it is one, and writes it again.
type Again = fn(&[u8]) -> Option<Vec<u8>>;

fn document(name: &str, bytes: Vec<u8>, again: Again) -> Document {
    Document { name: format!("{name}.hex"), bytes, again }
}

fn log_id(index: u64) -> LogId {
    LogId { term: 3, leader: node(1, 0), index }
}

fn membership() -> Membership {
    let member = |n| Member { region: region(n), key: Fixed([u8::try_from(n).unwrap(); 32]) };
    let voters = (1..=3).map(|n| node(n, 0)).collect();
    Membership {
        configurations: List::new(vec![List::new(voters).unwrap()]).unwrap(),
        nodes: List::new((1..=4).map(|n| (node(n, 0), member(n))).collect()).unwrap(),
    }
}

fn invite() -> Invite {
    let invitation = Invitation {
        cluster: LEDGER.cluster,
        epoch: LEDGER.epoch,
        genesis: Fixed([0x6e; 32]),
        node: node(2, 1),
        region: region(1),
        expires_at: at(NOW + DAY),
        members: membership().nodes,
    };
    let signature = sign(&identity_pair(1), &invitation.signing_bytes());
    Invite { invitation, signature }
}

fn hello() -> Hello {
    let greeting = Greeting {
        cluster: LEDGER.cluster,
        epoch: LEDGER.epoch,
        genesis: Fixed([0x6e; 32]),
        law: law(1).digest,
        region: region(1),
        node: node(1, 0),
        to: node(2, 0),
        levels: LEVELS,
        build: description(1, 0).build,
        starts: 7,
        flushed: 300,
    };
    let message = greeting.signing_bytes(End::Initiator, &Fixed([0xcb; 32]));
    let signature = sign(&pair("node 0 of region 1"), &message);
    Hello { greeting, key: description(1, 0).key, signature }
}

const fn refusals() -> [HelloRefused; 9] {
    [
        HelloRefused::Certificate,
        HelloRefused::Cluster,
        HelloRefused::Genesis,
        HelloRefused::Law,
        HelloRefused::Member,
        HelloRefused::Proof,
        HelloRefused::Level,
        HelloRefused::Recipient,
        HelloRefused::RolledBack,
    ]
}

/// Proposals that publish a key of each kind for each purpose. They need not be keys that verify.
fn keys_of_every_kind() -> Vec<u8> {
    let keys = [
        LedgerKey::P256(Fixed([2; 33])),
        LedgerKey::Ed25519(Fixed([3; 32])),
        LedgerKey::Rsa2048(Box::new(Fixed([4; 256]))),
        LedgerKey::Rsa3072(Box::new(Fixed([5; 384]))),
    ];
    let purposes = [
        KeyPurpose::AccessToken,
        KeyPurpose::BorderGrant,
        KeyPurpose::Response,
        KeyPurpose::StatusList,
        KeyPurpose::Audit,
    ];
    let of = |(key, purpose): (&LedgerKey, KeyPurpose)| {
        let command = PublishKey { purpose, key: key.clone(), kid: Fixed([6; 32]) };
        proposal(header(1, 0, NOW), Command::PublishKey(command)).seal()
    };
    let pairs = keys.iter().flat_map(|key| purposes.map(|purpose| (key, purpose)));
    let other = RegionEntry { identity: IdentityKey::P256(Fixed([2; 33])), ..entry(1, &[2]) };
    let law_of = ConfigScope::Federation(List::new(vec![other]).unwrap());
    let announce = AnnounceConfig { law: law(2), scope: law_of, levels: LEVELS };
    let announce = proposal(header(1, 0, NOW), Command::AnnounceConfig(announce)).seal();
    pairs.flat_map(of).chain(announce).collect()
}

/// Reads frame after frame.
fn each_frame(bytes: &[u8], again: Again) -> Option<Vec<u8>> {
    let (mut rest, mut out) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (_, after) = envelope::open(rest, envelope::BODY_BYTES_MAX).ok()?;
        out.extend(again(&rest[..rest.len() - after.len()])?);
        rest = after;
    }
    Some(out)
}

/// The documents that are no proposals.
fn documents() -> Vec<Document> {
    let reopened: Again = |bytes| {
        let (frame, rest) = envelope::open(bytes, envelope::BODY_BYTES_MAX).ok()?;
        rest.is_empty().then(|| envelope::seal(frame.kind, frame.body))
    };
    let entry: Again = |bytes| Some(LogEntry::open(bytes).ok()?.seal());
    let log_entry = |index, payload| LogEntry { id: log_id(index), payload }.seal();
    let vote = Vote { term: 3, node: node(1, 0), committed: true };
    let anchor = Anchor {
        node: node(1, 0),
        starts: 7,
        genesis: Some(Fixed([0x6e; 32])),
        vote: Some(vote),
        flushed: Some(log_id(300)),
    };
    let tick = proposal(header(1, 0, NOW), Command::Tick(Tick {}));
    vec![
        document("envelope", envelope::seal(Kind::Vote, b"body"), reopened),
        document("ticket", ticket(1, 0).seal(), |b| Some(NodeTicket::open(b).ok()?.seal())),
        document("invite", invite().seal(), |b| Some(Invite::open(b).ok()?.seal())),
        document("anchor", anchor.seal(), |b| Some(Anchor::open(b).ok()?.seal())),
        document("hello", hello().seal(), |b| Some(Hello::open(b).ok()?.seal())),
        document("hello-refused", refusals().iter().flat_map(HelloRefused::seal).collect(), |b| {
            each_frame(b, |frame| Some(HelloRefused::open(frame).ok()?.seal()))
        }),
        document("keys", keys_of_every_kind(), |b| {
            each_frame(b, |frame| Some(Proposal::open(frame).ok()?.0.seal()))
        }),
        document("vote", vote.seal(), |b| Some(Vote::open(b).ok()?.seal())),
        document("entry-blank", log_entry(1, EntryPayload::Blank), entry),
        document(
            "entry-batch",
            log_entry(300, EntryPayload::Batch(batch(&[tick.clone(), tick]))),
            entry,
        ),
        document("entry-membership", log_entry(2, EntryPayload::Membership(membership())), entry),
    ]
}

/// The log of a federation in which every command is taken and refused, and what came of each.
struct Golden {
    entries: Vec<LogEntry>,
    ledger: Ledger,
    now: u64,
    serial: u64,
    lines: Vec<String>,
}

impl Golden {
    fn entry(&mut self, payload: EntryPayload) {
        let index = self.entries.len() as u64;
        let entry = LogEntry { id: log_id(index), payload };
        self.lines.extend(apply(&mut self.ledger, &entry));
        self.entries.push(entry);
    }

    fn make(&mut self, by: u16, command: Command) -> Proposal {
        self.serial += 1;
        proposal(header(by, self.serial, self.now), command)
    }

    /// One proposal of each region, in one entry.
    fn each(&mut self, by: impl IntoIterator<Item = u16>, command: impl Fn(u16) -> Command) {
        let proposals: Vec<_> = by.into_iter().map(|n| self.make(n, command(n))).collect();
        self.entry(EntryPayload::Batch(batch(&proposals)));
    }

    fn one(&mut self, by: u16, command: Command) {
        let proposal = self.make(by, command);
        self.entry(EntryPayload::Batch(batch(&[proposal])));
    }

    fn later(&mut self, seconds: u64) {
        self.now += seconds;
        self.each(1..=4, |_| Command::Tick(Tick {}));
    }
}

/// Applies an entry, and says in one line for each proposal what came of it.
fn apply(ledger: &mut Ledger, entry: &LogEntry) -> Vec<String> {
    let EntryPayload::Batch(batch) = &entry.payload else { return Vec::new() };
    let outcomes = ledger.apply(entry.id.index, batch);
    let line = |(proposal, outcome): (Proposal, Outcome)| {
        let (by, kind) = (proposal.header.region, proposal.command.kind());
        format!("{} region {by} {kind:?}: {outcome:?}", entry.id.index)
    };
    batch.proposals().zip(outcomes).map(line).collect()
}

fn golden() -> Golden {
    let founding = founding(genesis(4, 1));
    let ledger = Ledger::new(digest_of(&founding));
    let mut log = Golden { entries: Vec::new(), ledger, now: NOW, serial: 0, lines: Vec::new() };
    log.entry(EntryPayload::Membership(membership()));
    log.entry(EntryPayload::Blank);
    log.one(1, Command::Tick(Tick {}));
    log.entry(EntryPayload::Batch(batch(&[founding])));
    log.one(2, Command::Genesis(genesis(4, 1)));
    log.later(10);
    keys(&mut log);
    revocations(&mut log);
    logs(&mut log);
    members(&mut log);
    laws(&mut log);
    regions(&mut log);
    log.later(DAY + 7_200);
    for _ in 0..3 {
        log.later(60);
    }
    log
}

fn keys(log: &mut Golden) {
    let access = KeyPurpose::AccessToken;
    let audit = |n: u16| publish(&format!("audit key of region {n}"), KeyPurpose::Audit);
    log.each(1..=4, |n| Command::PublishKey(audit(n)));
    for name in ["a", "b"] {
        log.one(1, Command::PublishKey(publish(name, access)));
    }
    log.one(2, Command::PublishKey(publish("a", access)));
    let kid = |name: &str| kid(&ledger_key(name));
    let activate = |name: &str| Command::ActivateKey(ActivateKey { kid: kid(name) });
    log.one(1, activate("a"));
    let acknowledge = |of: u16, name: &str, n: u16| {
        let (region, kid) = (region(of), kid(name));
        Command::AcknowledgeKey(AcknowledgeKey { region, kid, node: node(n, 0) })
    };
    log.each(1..=4, |n| acknowledge(1, "a", n));
    log.one(2, acknowledge(1, "c", 2));
    log.one(1, activate("a"));
    let retire = |name: &str, seconds| {
        let verifies_until = at(NOW + seconds);
        Command::RetireKey(RetireKey { kid: kid(name), verifies_until })
    };
    log.one(1, retire("a", 600));
    log.one(1, retire("b", 0));
    let revoke = |name: &str| Command::RevokeKey(RevokeKey { region: region(1), kid: kid(name) });
    log.one(2, revoke("b"));
    log.one(3, revoke("b"));
    log.one(2, revoke("c"));
}

fn revocations(log: &mut Golden) {
    let end = NOW + DAY;
    for index in [0, 1, 300, (1 << 20) - 1] {
        let target = Target::Status(status(0x0123_4567_89ab_cdef, index));
        log.one(1, revoke(1, target, Mode::Cutoff, end));
        log.one(3, revoke(1, target, Mode::Cutoff, end));
    }
    log.one(3, revoke(1, Target::Status(status(7, 7)), Mode::Cutoff, end));
    for target in [
        Target::Session(Fixed([1; 16])),
        Target::Subject(Fixed([2; 16])),
        Target::Client(3),
        Target::TransferRule(4),
        Target::List(ListId::new(5)),
    ] {
        log.one(1, revoke(1, target, Mode::Cutoff, 2 * end));
        log.one(2, revoke(1, target, Mode::Cutoff, end));
    }
    let person = Target::Subject(Fixed([6; 16]));
    for (mode, until) in
        [(Mode::Lift, end), (Mode::Block, end), (Mode::Lift, end), (Mode::Cutoff, NOW - DAY)]
    {
        log.one(2, revoke(2, person, mode, until));
    }
}

fn logs(log: &mut Golden) {
    let (short, long) = (Log::of(5, 1), Log::of(9, 1));
    log.one(1, Command::AnchorCheckpoint(anchor(1, 1, &short, 0)));
    log.one(1, Command::AnchorCheckpoint(anchor(1, 1, &long, 5)));
    log.one(1, Command::AnchorCheckpoint(anchor(1, 1, &Log::of(9, 2), 5)));
    log.one(1, Command::AnchorCheckpoint(anchor(1, 1, &Log::of(12, 2), 9)));
    for n in 2..=3 {
        let seen = [&short, &long].map(|tree| cosignature(n, name(1, 1), tree.head()));
        log.one(n, cosign(n, seen.to_vec()));
    }
    log.one(2, cosign(2, vec![cosignature(3, name(1, 1), long.head())]));
}

fn members(log: &mut Golden) {
    let join = |ticket| Command::Join(Join { ticket });
    log.one(1, join(ticket(2, 1)));
    log.one(1, join(ticket(2, 1)));
    let leave = |n, place| Command::Leave(Leave { node: node(n, place) });
    log.one(2, leave(2, 1));
    log.one(2, join(ticket(2, 1)));
    log.one(2, leave(2, 9));
    log.one(1, join(ticket(3, 1)));
    log.one(1, leave(3, 1));
    log.one(2, leave(3, 1));
    log.one(1, Command::RaiseLevel(RaiseLevel { level: 2 }));
    log.one(1, Command::RaiseLevel(RaiseLevel { level: 3 }));
    let levels = LevelRange { lowest: 1, highest: 2 };
    log.one(1, join(vouched(NodeDescription { levels, ..description(1, 0) })));
}

fn laws(log: &mut Golden) {
    let announce = |version, scope| {
        Command::AnnounceConfig(AnnounceConfig { law: law(version), scope, levels: LEVELS })
    };
    log.each(1..=2, |n| announce(u64::from(n), ConfigScope::Region));
    log.one(2, announce(1, ConfigScope::Region));
    let mut next = entries(4);
    next[3].witness = false;
    let regions = List::new(next).unwrap();
    let activate = Command::ActivateConfig(ActivateConfig { law: law(2) });
    log.one(1, activate.clone());
    log.each(1..=4, |_| announce(2, ConfigScope::Federation(regions.clone())));
    log.each([1, 1, 2], |_| activate.clone());
    log.one(3, announce(3, ConfigScope::Federation(List::new(entries(5)).unwrap())));
}

fn regions(log: &mut Golden) {
    log.one(2, set(2, RegionState::Draining, Some(3)));
    log.one(2, set(2, RegionState::Draining, Some(1)));
    log.one(3, revoke(2, Target::Client(9), Mode::Block, NOW + 2 * DAY));
    log.each([2, 1], |_| set(2, RegionState::Active, None));
    let end = |of| Command::RevokeRegion(RevokeRegion { region: region(of) });
    log.one(1, end(1));
    log.each([1, 2], |_| end(4));
    log.one(1, end(9));
    log.one(4, Command::Tick(Tick {}));
    // Signed by another region, for another level, sent again.
    let header = header(1, 1_000, log.now);
    let forged = signed(header, end(1), &identity_pair(2));
    let mut later = forged.clone();
    later.header.level = 2;
    let good = log.make(1, end(1));
    log.entry(EntryPayload::Batch(batch(&[forged, later, good.clone(), good])));
    log.one(1, Command::RaiseLevel(RaiseLevel { level: 1 }));
    let leave = Command::Leave(Leave { node: node(3, 0) });
    log.one(1, leave);
}

/// One level up from level 1: kept apart, since a program of level 1 has no rules after it.
fn raised() -> Vec<Outcome> {
    let mut genesis = genesis(1, 1);
    let levels = LevelRange { lowest: 1, highest: 2 };
    let founder = vouched(NodeDescription { levels, ..description(1, 0) });
    genesis.founders = List::new(vec![founder]).unwrap();
    let founding = founding(genesis);
    let mut ledger = Ledger::new(digest_of(&founding));
    let raise = proposal(header(1, 1, NOW), Command::RaiseLevel(RaiseLevel { level: 2 }));
    let tick = proposal(header(1, 2, NOW), Command::Tick(Tick {}));
    ledger.apply(0, &batch(&[founding, raise, tick]))
}

fn head(last: u64) -> SnapshotHead {
    SnapshotHead {
        last: Some(log_id(last)),
        membership_at: Some(log_id(0)),
        membership: membership(),
    }
}

fn snapshot(log: &[LogEntry], ledger: &Ledger) -> Vec<u8> {
    ledger.snapshot(&head(log.len() as u64 - 1))
}

/// What the log comes to, as a file of lines.
fn story(lines: &[String], ledger: &Ledger, snapshot: &[u8]) -> String {
    let snapshot: Digest = Fixed(sha256(snapshot));
    format!("{}\ndigest {}\nsnapshot {snapshot}\n", lines.join("\n"), ledger.digest())
}

/// The first taken proposal of each command in the log, as a document of its own.
fn proposals(log: &Golden) -> Vec<Document> {
    let again: Again = |bytes| {
        let (proposal, rest) = Proposal::open(bytes).ok()?;
        rest.is_empty().then(|| proposal.seal())
    };
    let of_kind = |kind: Kind| {
        let batches = log.entries.iter().filter_map(|entry| match &entry.payload {
            EntryPayload::Batch(batch) => Some(batch),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        });
        batches.flat_map(Batch::proposals).find(|proposal| proposal.command.kind() == kind)
    };
    let document_of = |kind| {
        let proposal = of_kind(kind)?;
        Some(document(&format!("proposal-{kind:?}"), proposal.seal(), again))
    };
    Kind::ALL.into_iter().filter_map(document_of).collect()
}

fn all() -> (Golden, Vec<Document>) {
    let log = golden();
    let mut files = documents();
    files.extend(proposals(&log));
    let snapshot = snapshot(&log.entries, &log.ledger);
    let genesis: Again = |bytes| {
        let (head, ledger) = Ledger::restore(bytes, golden().ledger.genesis()).ok()?;
        Some(ledger.snapshot(&head))
    };
    files.push(document("snapshot", snapshot, genesis));
    let framed: Vec<u8> = log.entries.iter().flat_map(LogEntry::seal).collect();
    let read: Again = |bytes| each_frame(bytes, |frame| Some(LogEntry::open(frame).ok()?.seal()));
    files.push(document("log", framed, read));
    (log, files)
}

/// The entries of a file of frames.
fn opened(bytes: &[u8]) -> Vec<LogEntry> {
    let (mut rest, mut entries) = (bytes, Vec::new());
    while !rest.is_empty() {
        let (_, after) = envelope::open(rest, envelope::BODY_BYTES_MAX).unwrap();
        entries.push(LogEntry::open(&rest[..rest.len() - after.len()]).unwrap());
        rest = after;
    }
    entries
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "testdata", "golden", "level-1", name].iter().collect()
}

#[expect(clippy::disallowed_methods, reason = "the files that the formats are compared with")]
fn committed(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = digits.as_bytes().chunks(LINE);
    lines.map(|line| format!("{}\n", std::str::from_utf8(line).unwrap())).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'\n').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn every_format_is_what_it_was() {
    let made = all().1.into_iter().map(|file| (file.name, hex(&file.bytes)));
    let changed: Vec<String> = made
        .chain([("outcomes.txt".to_owned(), outcomes())])
        .filter(|(name, is)| *is != committed(name))
        .map(|(name, is)| format!("{} has changed. It is now:\n{is}", path(&name).display()))
        .collect();
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

/// The numbers of outcomes, as they are folded into the digest.
fn outcomes() -> String {
    let refused = Objection::ALL.into_iter().map(Outcome::Refused);
    [Outcome::Applied, Outcome::Duplicate, Outcome::Pending]
        .into_iter()
        .chain(refused)
        .map(|outcome| {
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
            format!("{:04x} {outcome:?}\n", outcome.code())
        })
        .collect()
}

#[test]
fn every_committed_document_is_read_and_written_again_to_the_same_bytes() {
    for file in all().1 {
        let bytes = unhex(&committed(&file.name));
        assert!(!bytes.is_empty(), "{}", file.name);
        assert_eq!((file.again)(&bytes).as_ref(), Some(&bytes), "{}", file.name);
    }
}

#[test]
fn a_document_with_a_byte_changed_or_missing_is_refused() {
    for file in all().1.into_iter().filter(is_small) {
        for at in 0..file.bytes.len() {
            let mut changed = file.bytes.clone();
            changed[at] ^= 1 << (at % 8);
            assert_eq!((file.again)(&changed), None, "{} at {at}", file.name);
            // A file of several frames that is cut between two is a shorter file.
            let (_, rest) = envelope::open(&file.bytes, envelope::BODY_BYTES_MAX).unwrap();
            if rest.is_empty() && at > 0 {
                assert_eq!((file.again)(&file.bytes[..at]), None, "{} at {at}", file.name);
            }
        }
    }
}

#[test]
fn a_body_that_was_changed_under_a_fitting_checksum_is_refused_or_another_value() {
    let mut others = 0;
    for file in all().1.into_iter().filter(is_small) {
        let (frame, _) = envelope::open(&file.bytes, envelope::BODY_BYTES_MAX).unwrap();
        for at in 0..frame.body.len() {
            for change in [1, 0x7f, 0x80, 0xff] {
                let mut body = frame.body.to_vec();
                body[at] ^= change;
                let bytes = envelope::seal(frame.kind, &body);
                if let Some(again) = (file.again)(&bytes) {
                    assert_eq!(again, bytes, "{} at {at}: one value, one text", file.name);
                    others += 1;
                }
            }
        }
    }
    assert!(others > 1_000, "{others}");
}

/// The log and the snapshot have tests of their own.
fn is_small(file: &Document) -> bool {
    !matches!(file.name.as_str(), "log.hex" | "snapshot.hex")
}

#[test]
fn the_committed_log_replays_to_the_same_outcomes_digest_and_snapshot() {
    let entries = opened(&unhex(&committed("log.hex")));
    let mut ledger = Ledger::new(golden().ledger.genesis());
    let lines: Vec<String> = entries.iter().flat_map(|entry| apply(&mut ledger, entry)).collect();
    let bytes = snapshot(&entries, &ledger);
    let story = story(&lines, &ledger, &bytes);
    assert!(story == committed("log.txt"), "log.txt has changed. It is now:\n{story}");
    assert_eq!(bytes, unhex(&committed("snapshot.hex")));
    // And from the snapshot of any entry.
    for cut in [4, entries.len() / 2, entries.len() - 1] {
        let mut first = Ledger::new(ledger.genesis());
        entries[..cut].iter().for_each(|entry| drop(apply(&mut first, entry)));
        let middle = first.snapshot(&SnapshotHead::default());
        let (_, mut rest) = Ledger::restore(&middle, ledger.genesis()).unwrap();
        entries[cut..].iter().for_each(|entry| drop(apply(&mut rest, entry)));
        assert_eq!(snapshot(&entries, &rest), bytes, "cut at {cut}");
    }
}

#[test]
fn the_golden_log_shows_every_command_taken_and_refused() {
    let log = golden();
    for kind in Kind::ALL {
        if kind.number() >= Kind::LogEntry.number() {
            continue;
        }
        let of_kind = |word: &str| {
            let mark = format!(" {kind:?}: {word}");
            log.lines.iter().any(|line| line.contains(&mark))
        };
        // The level that it rises to is one that this program does not know.
        let raises = kind == Kind::RaiseLevel;
        assert!(of_kind("Applied") || raises, "{kind:?} is never taken");
        assert!(of_kind("Refused"), "{kind:?} is never refused");
    }
    for word in ["Duplicate", "Pending"] {
        assert!(log.lines.iter().any(|line| line.ends_with(word)), "{word}");
    }
    let refused = Outcome::Refused(Objection::Level);
    assert_eq!(raised(), [Outcome::Applied, Outcome::Applied, refused]);
}

#[test]
fn signed_documents_verify() {
    let key = identity(1);
    let ticket = NodeTicket::open(&unhex(&committed("ticket.hex"))).unwrap();
    assert!(ticket.verify(&key));
    assert!(Invite::open(&unhex(&committed("invite.hex"))).unwrap().verify(&key));
    let hello = Hello::open(&unhex(&committed("hello.hex"))).unwrap();
    assert!(hello.verify(End::Initiator, &Fixed([0xcb; 32])));
    assert!(!hello.verify(End::Responder, &Fixed([0xcb; 32])));
    assert!(!hello.verify(End::Initiator, &Fixed([0xcc; 32])));
    assert!(!ticket.verify(&hello.key));
}
