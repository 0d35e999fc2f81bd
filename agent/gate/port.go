package gate

import (
	"context"
	"io"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// Runs is who decides about runs (core/engine). token is the bearer token as
// sent. Errors are those of core: ErrUnauthorized 401, ErrRefused 403,
// ErrNotFound 404, ErrConflict 409, ErrExpired 410, ErrInvalid 422, ErrFull 507.
type Runs interface {
	Hello(ctx context.Context, run core.RunID, token string, hello core.Hello) (core.HelloReply, error)
	Claim(ctx context.Context, run core.RunID, token string, claim core.Claim) (core.ClaimReply, error)
	Heartbeat(ctx context.Context, run core.RunID, token string, beat core.Beat) (core.Order, error)
	Sensor(ctx context.Context, run core.RunID, token string, seq uint64, samples []core.Sample) ([]core.Evaluation, error)
	Result(ctx context.Context, run core.RunID, token string, result core.Result) (core.State, error)
	// HoldOpened takes the word of a held host that its SSH server is up.
	HoldOpened(ctx context.Context, run core.RunID, token string, call core.HoldCall) (core.HoldReply, error)
	// Authorise checks a session token of the current epoch, for the bulk lane.
	Authorise(ctx context.Context, run core.RunID, token string) (epoch int, err error)
	// Logged announces that the run's log now reaches lastSeq.
	Logged(ctx context.Context, run core.RunID, lastSeq uint64) error
	// Kept announces an artifact that was stored, and returns its record.
	Kept(ctx context.Context, artifact core.Artifact) (core.Artifact, error)
}

// LogSink keeps log lines (store/runlog). A batch seen before (run, epoch, seq)
// changes nothing and answers as before.
type LogSink interface {
	AppendLog(ctx context.Context, run core.RunID, epoch int, seq uint64, lines []core.LogLine) (lastSeq uint64, err error)
}

// ArtifactSink keeps files under the SHA-256 of their content (store/artifact).
type ArtifactSink interface {
	KeepArtifact(ctx context.Context, body io.Reader, limit int64) (sha256 string, size int64, err error)
}

// Partner hands out tickets for network tests (agent/partner). ErrNotFound: it does not
// listen.
type Partner interface {
	Admit(run core.RunID, token string) (wire.TrafficReply, error)
}

// Meetings bring two machines together that measure each other (agent/partner). A call
// may take five seconds.
type Meetings interface {
	Pair(ctx context.Context, run core.RunID, ask wire.Pair) (wire.PairReply, error)
}

// Screen knows what the screen of a machine under test shows, and decides nothing. It is
// asked with every claim and every heartbeat.
type Screen interface {
	// Page returns the address of a run's page and its QR code: rows of modules, '#' dark
	// and '.' light. Empty: there is none.
	Page(run core.RunID) (address string, qr []string)
	// Left returns how long a run still takes, as learned from others; zeros: not known.
	Left(ctx context.Context, run core.RunID) (low, high time.Duration, guess bool)
}
