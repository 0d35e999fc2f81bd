// Package stage holds the agent's tests: each is a function from a look at the
// machine to a result. The appliance's own stages (SpecValidate, Reporting) are
// not here.
package stage

import (
	"context"
	"log/slog"
	"time"

	"vetting/agent/traffic"
	"vetting/core"
)

// Env is what a stage is given. All fields are set.
type Env struct {
	// Log goes to the run's log on the appliance; every line carries the stage.
	Log *slog.Logger
	// Progress tells how far the stage is: the sub-step under way, the part
	// done (0..1) and the time left as far as known (0: unknown). It never
	// blocks and is safe for concurrent use.
	Progress func(subStep string, done float64, eta time.Duration)
	// Meters tells how far each part of the stage is, in place of what it told before. It
	// never blocks and is safe for concurrent use. What it is given must not be changed.
	// nil: nobody asks.
	Meters func(meters []core.Meter)
	// Sensor hands samples over for the live stream and the thresholds. It
	// never blocks and is safe for concurrent use.
	Sensor func(samples ...core.Sample)
	// Config is the profile's configuration ("SMART.self_test": "short").
	Config map[string]string
	// Scale shortens durations: 1 for real hosts.
	Scale float64
	// Disks are those the spec or the last inventory expects, and which are armed.
	Disks []core.ExpectedDisk
	// Run, Profile and HostName are what people know this vetting by.
	Run, Profile, HostName string
	// Overlays are the operator's archives that must be unpacked as /overlay/NAME.
	Overlays []core.Overlay
	// BootMAC is the address of the NIC the machine booted from.
	BootMAC core.MAC
	// Keep stores a file that belongs to the run, for people to read. It never
	// blocks for long and is safe for concurrent use; name is a plain file name.
	Keep func(name string, content []byte)
	// Overrides are what an operator lets this stage pass over, once:
	// "override-wipe-probe:SERIAL".
	Overrides []string
	// OverrideUntil is when they count no more, as the appliance says; the zero time where
	// there are none.
	OverrideUntil time.Time
	// WriteLease returns until when a destructive test may write; the zero time
	// says not now. It grows while the appliance answers. Ask again before every
	// write, and stop when it is past.
	WriteLease func() time.Time
	// Checkpoint keeps how far the stage is, in place of what was kept before:
	// MaxCheckpoint bytes at most, and often enough that no more than a minute's work
	// is lost. It writes a small file and is safe for concurrent use. It returns whether
	// a later process will find it.
	Checkpoint func(state []byte) (kept bool)
	// Partner exchanges frames with the appliance over the test network, count each
	// way. The error says that the exchange did not come to its end.
	Partner func(ctx context.Context, seed uint64, count int) (Exchange, error)
	// Ticket asks for a ticket for the appliance's throughput partner, which ends with
	// the session and with the next ticket.
	Ticket func(ctx context.Context) (traffic.Ticket, error)
	// Pair takes a step in a meeting with another machine in this stage, which the appliance
	// brings about; id is that of the meeting. It may take five seconds.
	Pair func(ctx context.Context, step traffic.Step, id string, mine traffic.Peer) (traffic.Meeting, error)
	// Resume is what was kept last by a process that ended in the midst of the stage;
	// nil where the stage begins. Whoever retries a stage begins it.
	Resume []byte
}

// Exchange is what came of frames that were sent and received.
type Exchange struct {
	Sent, SentBad         int
	Received, ReceivedBad int
	Bytes                 uint64 // both ways
	Took                  time.Duration
	ServerTime            time.Time // by the appliance's clock, when all that was sent was there
	At                    time.Time // by ours, when we heard so
}

// MaxCheckpoint bounds what a stage may keep.
const MaxCheckpoint = 64 << 10

// Func runs one stage to its end. It returns early with the verdict "error"
// when ctx ends; it never panics on account of what the machine says. Seq and
// Stage of the result are filled in by the caller.
type Func func(ctx context.Context, env Env) core.Result
