package core

import (
	"bytes"
	"context"
	"encoding/json"
	"time"
)

// Table names a family of records in the ledger.
type Table string

// The tables. The key of each is in the comment.
const (
	TableHost      Table = "host"      // MAC
	TableAlias     Table = "alias"     // other MAC → primary MAC
	TableRun       Table = "run"       // RunID
	TableRunSecret Table = "runsecret" // RunID
	TableInventory Table = "inventory" // RunID
	TableSamples   Table = "samples"   // RunID/epoch/seq, numbers zero-padded; value SampleBatch
	TableArtifact  Table = "artifact"  // RunID/number
	TableReport    Table = "report"    // RunID
	TableReply     Table = "reply"     // RunID/channel/seq → answer given, for resent batches
	TableLease     Table = "lease"     // MAC
	TableSighting  Table = "sighting"  // MAC
	TableBoot      Table = "boot"      // MAC → last boot trace
	TableUser      Table = "user"      // name
	TableSession   Table = "session"   // SHA-256 of the cookie, hex
	TableToken     Table = "token"     // SHA-256 of the API token, hex
	TableSetting   Table = "setting"   // name

	TableTrash      Table = "trash"      // MAC → deleted Host, until it is forgotten for good
	TableHostSecret Table = "hostsecret" // MAC
	TableClass      Table = "class"      // name
	TableHostKey    Table = "hostkey"    // HostKey.ID
	TablePresence   Table = "presence"   // MAC
	TablePart       Table = "part"       // kind/model/serial → who has it
	TableTrail      Table = "trail"      // RunID/stage/attempt/number
	TableAudit      Table = "audit"      // AuditKey: in the order of the writes
	TableDelivery   Table = "delivery"   // DeliveryKey: event seq, target
	TableExpiry     Table = "expiry"     // RunID → Expiry
	TableFigure     Table = "figure"     // RunID/stage → Figures
	TablePeer       Table = "peer"       // class/MAC → Peer
	TableBaseline   Table = "baseline"   // "current", "text/" and a SHA-256 → FirmwareBaseline
	TableFirmware   Table = "firmware"   // "run/" and a RunID → FirmwareSnapshot; "host/" and a MAC, "passed/" model/MAC → which run
	TableWaiver     Table = "waiver"     // WaiverKey: MAC/ID
	TableNote       Table = "note"       // NoteKey: MAC/ID
	TableBatch      Table = "batch"      // name
	TableProfile    Table = "profile"    // ProfileNow and a name, ProfileVersionKey → ProfileText
	TableOnce       Table = "once"       // hash of caller and idempotency key → CarriedOut
	TableRollup     Table = "rollup"     // RunID/number, zero-padded → RollupBatch; counts once Expiry says so
)

// Reader looks at the ledger as it stood at one moment.
type Reader interface {
	// Get decodes the record under key into the value that into points to, as
	// Decode does. ErrNotFound when there is none.
	Get(table Table, key string, into any) error
	// Scan calls each for the records whose key starts with prefix and is past
	// after ("" from the start), in the order of their keys, limit at most
	// (0: all). reverse goes from the last key down, and past means below.
	// An error from each ends the scan and is returned.
	Scan(table Table, q Query, each func(key string, decode func(into any) error) error) error
	// Events returns up to limit events with Seq > after, in order.
	Events(after uint64, limit int) ([]Event, error)
}

// Decode fills what into points to from the JSON text of a record. A json.RawMessage
// gets a copy of the text itself, unparsed: who keeps what was read once compares
// texts, and parsing is what reading of many costs.
func Decode(text []byte, into any) error {
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = bytes.Clone(text)

		return nil
	}

	return json.Unmarshal(text, into)
}

// Query bounds a Scan.
type Query struct {
	Prefix  string
	After   string
	Limit   int
	Reverse bool
}

// Txn is a Reader that also writes. It sees its own writes. Everything written
// in one Txn, with the events about it, becomes durable together or not at all.
type Txn interface {
	Reader
	// Put stores value (encoded as JSON inside a versioned envelope), 512 KiB
	// at most once encoded; ErrInvalid beyond.
	Put(table Table, key string, value any) error
	// Delete forgets the record; no error when there is none.
	Delete(table Table, key string) error
	// Emit appends an event. Its Seq is given at commit.
	Emit(event Event) error
	// Note tells that a batch of samples was stored. All notes of a commit, whoever
	// wrote them, are told by one event: there are a thousand a second.
	Note(at time.Time, note SampleNote) error
}

// Ledger is the appliance's memory. Safe for concurrent use.
type Ledger interface {
	// View runs look on a snapshot.
	View(ctx context.Context, look func(Reader) error) error
	// Update runs change alone (no two run at once, so check-and-act is
	// atomic) and returns, once the write is on stable storage, the sequence
	// number of the last event it emitted (or of the ledger, if it emitted
	// none). When change returns an error nothing is written and the error
	// comes back as it is. ErrFull when the disk is too full to accept it.
	// change may run in another goroutine, must not block and must not call
	// the ledger.
	Update(ctx context.Context, change func(Txn) error) (seq uint64, err error)
}
