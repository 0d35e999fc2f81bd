package ui

import (
	"context"
	"io"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/metric"
	"vetting/ui/notify"
	"vetting/ui/report/seal"
)

// Commands is what people may ask for (core/engine). who is the operator's
// name, for the audit trail. Errors are those of core.
type Commands interface {
	// RegisterHost records a new host; ErrConflict when one of its MACs is taken.
	RegisterHost(ctx context.Context, who string, host core.Host) (core.Host, error)
	// UpdateHost applies change to the host and records it; MAC, identity and
	// run fields stay as they are. only refuses the host as it is on record in the same
	// write, and so do its like below. A *core.Problem about a spec names line and column.
	UpdateHost(ctx context.Context, who string, mac core.MAC, change func(*core.Host), only ...func(*core.Host) error) (core.Host, error)
	DeleteHost(ctx context.Context, who string, mac core.MAC) error
	ClearQuarantine(ctx context.Context, who string, mac core.MAC) (core.Host, error)
	StartRun(ctx context.Context, mac core.MAC, wish core.StartRun) (core.Run, error)
	// TryRun says what StartRun would answer, and starts nothing.
	TryRun(ctx context.Context, mac core.MAC, wish core.StartRun) error
	CancelRun(ctx context.Context, who string, run core.RunID) (core.Run, error)
	ReleaseRun(ctx context.Context, who string, run core.RunID) (core.Run, error)
	// RetryStage leaves the hold and runs the failed stage again.
	RetryStage(ctx context.Context, who string, run core.RunID) (core.Run, error)
	// Profiles lists the profiles runs can be started with.
	Profiles() []core.Profile
	Orders
	ProfileOrders
}

// ProfileOrders is what people may ask of profiles.
type ProfileOrders interface {
	// ProfileBook lists all profiles with where they come from, by name.
	ProfileBook() []core.ProfileEntry
	// ReadProfile returns what a text (YAML) says, whether it makes sense or not;
	// WriteProfile returns a text of which ReadProfile makes the same.
	ReadProfile(text string) (core.ProfileDraft, error)
	WriteProfile(draft core.ProfileDraft) (text string, err error)
	// CheckProfile says what a text would come to under a name; a *core.Problem names
	// line and column.
	CheckProfile(name, text string) (core.Profile, error)
	// SetProfile saves it. version is the one that was seen last, 0 for a new profile, -1
	// for any; ErrConflict when there is another.
	SetProfile(ctx context.Context, who, name, text string, version int) (core.ProfileText, error)
	// RemoveProfile forgets it; ErrConflict while it is used.
	RemoveProfile(ctx context.Context, who, name string) error
}

// Orders is what people may ask for beyond the plain life of hosts and runs.
type Orders interface {
	// RunStageAgain leaves the hold and runs a stage again: the failed one or one
	// before it.
	RunStageAgain(ctx context.Context, who string, run core.RunID, stage core.StageName) (core.Run, error)
	// OverrideWipe runs Storage again and lets it pass over foreign data on the
	// disks with these serials, once. The report keeps the reason.
	OverrideWipe(ctx context.Context, who string, run core.RunID, serials []string, reason string) (core.Run, error)
	// FailRun ends the hold of a run and gives its host up, for a reason that the report
	// keeps. WithdrawRun takes a start back whose grace is not over (core.StartRun.Grace).
	FailRun(ctx context.Context, who string, run core.RunID, reason string) (core.Run, error)
	WithdrawRun(ctx context.Context, who string, run core.RunID) (core.Run, error)
	// RenewHoldKey makes a new key for a held host and hands it out; the one before is
	// worthless then.
	RenewHoldKey(ctx context.Context, who string, run core.RunID) (core.HoldKey, error)
	// WaiveFinding bears with a finding of a held run until a day; no verdict changes.
	WaiveFinding(ctx context.Context, who string, run core.RunID, wish core.WaiverWish) (core.Waiver, error)
	// WithdrawWaiver ends that before its day; ErrNotFound when it counts no more.
	WithdrawWaiver(ctx context.Context, who string, host core.MAC, id string) (core.Waiver, error)
	// AddNote keeps what somebody wrote about a host or one of its runs; AddPhoto adds a
	// photo that is stored already to a note of theirs. RemoveNote forgets one; that of
	// somebody else only where others says so.
	AddNote(ctx context.Context, who string, wish core.NoteWish) (core.Note, error)
	AddPhoto(ctx context.Context, who string, host core.MAC, id string, photo core.Photo) (core.Note, error)
	RemoveNote(ctx context.Context, who string, others bool, host core.MAC, id string) error
	// HoldKey hands out the key of a held host, once.
	HoldKey(ctx context.Context, who string, run core.RunID) (core.HoldKey, error)
	// AdoptHost records a machine that was heard; ErrNotFound when it never was.
	AdoptHost(ctx context.Context, who string, host core.Host) (core.Host, error)
	// IgnoreMachine takes a machine that was heard out of the inbox, HeedMachine takes it
	// back; ErrNotFound when it was not heard, or is registered.
	IgnoreMachine(ctx context.Context, who string, mac core.MAC) (core.Sighting, error)
	HeedMachine(ctx context.Context, who string, mac core.MAC) (core.Sighting, error)
	// MoveRun gives a run that waits another place in the queue; ErrConflict when it
	// waits no more.
	MoveRun(ctx context.Context, who string, run core.RunID, to core.QueueMove) (core.QueueMoved, error)
	// UndeleteHost brings a deleted host back as it was.
	UndeleteHost(ctx context.Context, who string, mac core.MAC) (core.Host, error)
	SetHostSecret(ctx context.Context, who string, mac core.MAC, secret core.HostSecret) (core.Host, error)
	// LearnSpec writes the spec that the machine of a run fulfils.
	LearnSpec(ctx context.Context, run core.RunID) (yaml string, err error)
	// SetClass records what hosts of a model share; only is asked about the zero class where
	// there is none.
	SetClass(ctx context.Context, who string, class core.Class, only ...func(*core.Class) error) (core.Class, error)
	// ImportHosts registers or changes hosts, all of them or none; the error joins
	// what is wrong, each a *core.Problem with the detail "line". dry only says what
	// would be done.
	ImportHosts(ctx context.Context, who string, rows []core.ImportRow, dry bool) ([]core.Imported, error)
	// PowerHost switches a host, or asks whether it is on. The state is unknown
	// where it was not asked for.
	PowerHost(ctx context.Context, who string, mac core.MAC, op core.PowerOp) (core.PowerState, error)
	// LookAtController asks a host's management controller for sensors and events, and
	// LocateHost switches the light by which the host is found; ErrConflict where a run
	// needs the controller, and where it does not answer.
	LookAtController(ctx context.Context, who string, mac core.MAC) (core.Panel, error)
	LocateHost(ctx context.Context, who string, mac core.MAC, on bool) error
	// OpenSerial opens the serial console of a host over its management controller; ErrConflict
	// where it cannot be had. takeOver ends the session that somebody else has there. Closing
	// it waits until the port was given back; its reads end in io.EOF or a *core.Problem.
	OpenSerial(ctx context.Context, mac core.MAC, takeOver bool) (io.ReadWriteCloser, error)
	// LightPart has a part of a held host found by its light, or no more; ErrConflict where
	// the host is not held, or not heard.
	LightPart(ctx context.Context, who string, mac core.MAC, wish core.LightWish) (core.Light, error)
	// ApproveHostKey lets an installed host be told to reboot; RevokeHostKey makes
	// its key worthless. ErrNotFound when there is no such key.
	ApproveHostKey(ctx context.Context, who, id string) (core.HostKey, error)
	RevokeHostKey(ctx context.Context, who, id string) (core.HostKey, error)
	DeleteClass(ctx context.Context, who, name string) error
	// SetFirmwareBaseline checks and records what firmware is held against; an empty
	// text takes it away. A *core.Problem names line and column.
	SetFirmwareBaseline(ctx context.Context, who, text string, only ...func(*core.FirmwareBaseline) error) (core.FirmwareBaseline, error)
	// CheckFirmwareBaseline only checks.
	CheckFirmwareBaseline(text string) error
	// FirmwareCatalogue is the text of rules that comes with the appliance.
	FirmwareCatalogue() string
}

// Logs reads run logs (store/runlog): up to limit lines with Seq > after.
type Logs interface {
	ReadLog(ctx context.Context, run core.RunID, after uint64, limit int) ([]core.LogLine, error)
}

// Counts are figures that other rooms keep since the start. Each may be nil. The
// words of a count are in the order of the comment.
type Counts struct {
	DHCP  func() []metric.Count // messages by type ("discover") and result ("answered", "heard", "ignored", "malformed", "quiet", "dropped", "failed")
	TFTP  func() []metric.Count // transfers by result ("ok", "failed", "missing", "probe")
	Boot  func() []metric.Count // bytes of boot files that were sent whole, by file ("kernel", "initrd", "loader")
	BMC   func() []metric.Count // requests by protocol ("ipmi", "redfish", "webhook", "wol") and result ("ok", or a problem code)
	Store func() []metric.Count // bytes on the disk by kind ("ledger", "logs", "artifacts", "free")
	Slots func() int            // runs that may be under way at once
}

// Notifier tells people what happens (ui/notify.Courier).
type Notifier interface {
	Targets() []notify.TargetInfo
	Routes() []notify.Route
	Counts() []notify.Count
	// Test sends a message to one target now and keeps its outcome. ErrNotFound when
	// there is no such target; that it did not arrive is no error.
	Test(ctx context.Context, target string) (core.Delivery, error)
	// Again sends a message once more that did not arrive. ErrNotFound when there is no
	// such message or target, ErrConflict when it has arrived.
	Again(ctx context.Context, event uint64, target string) (core.Delivery, error)
}

// ReportKeys are the keys that reports are signed with. Safe for concurrent use.
type ReportKeys interface {
	// Key is the one that signs now.
	Key() seal.Key
	// Keys lists it and those before it, the newest first.
	Keys(ctx context.Context) ([]core.ReportKey, error)
	// Rotate draws another and lets it sign from now on.
	Rotate(ctx context.Context, who string) (core.ReportKey, error)
}

// Artifacts keeps files, each under its SHA-256 (store/artifact). The caller closes what was
// opened.
type Artifacts interface {
	OpenArtifact(ctx context.Context, sha256 string) (io.ReadCloser, error)
	// KeepArtifact keeps a file of up to limit bytes; ErrFull when there is no room.
	KeepArtifact(ctx context.Context, body io.Reader, limit int64) (sum string, size int64, err error)
}

// Backups makes backups of the appliance. Safe for concurrent use; of Make, Verify and
// what Begin returns one is under way at a time, and ErrConflict says so. who is the
// operator's name, for the audit trail.
type Backups interface {
	// Kept lists those in the folder that the configuration names.
	Kept(ctx context.Context) (route.BackupList, error)
	// Make makes one there now and reads it again; ErrConflict when there is no folder.
	Make(ctx context.Context, who string) (route.BackupProof, error)
	// Verify reads one of them to its end. ErrNotFound when there is none of that name,
	// ErrInvalid when it is damaged.
	Verify(ctx context.Context, name string) (route.BackupProof, error)
	// Open opens one of them to be taken away; the caller closes it.
	Open(ctx context.Context, name, who string) (io.ReadCloser, error)
	// Begin returns what writes a backup of the moment at which it is called. It must be
	// called once.
	Begin(keys bool, who string) (write func(context.Context, io.Writer) error, err error)
}
