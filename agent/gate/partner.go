package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// frames answer an exchange of a network test: what came, and the frames to go.
type frames struct {
	reply wire.PartnerReply
	seed  uint64
	count int
}

// partner checks the frames that a machine sends, as they come, and has as many
// sent back as it asks for. Nothing of them is kept.
func (g *gate) partner(_ context.Context, c *caller) (any, error) {
	seed, err := strconv.ParseUint(c.query["seed"], 10, 64)
	if err != nil {
		return nil, core.NewProblem(core.ErrInvalid, "agent/invalid-message", "The exchange names no seed, as in seed=7.")
	}

	want, err := strconv.Atoi(c.query["frames"])
	if err != nil || want < 0 || want > wire.MaxFrames {
		return nil, core.NewProblem(core.ErrInvalid, "agent/invalid-message",
			fmt.Sprintf("The exchange asks for %.20q frames; it may ask for 0 to %d.", c.query["frames"], wire.MaxFrames))
	}

	row := &frames{seed: seed, count: want}

	row.reply.Frames, row.reply.Bad, err = wire.ReadFrames(c.body, seed)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nonsense(err)
	}

	if err != nil {
		return nil, fmt.Errorf("reading frames of %s: %w", c.run, err)
	}

	row.reply.ServerTime = wire.At(g.Now())

	return row, nil
}

// frameTime is how long a machine may take to fetch its frames.
const frameTime = 30 * time.Second

// send writes the answer's line and the frames. A caller that hangs up meanwhile
// knows it.
func (f *frames) send(w http.ResponseWriter) {
	head, err := json.Marshal(f.reply)
	if err != nil {
		return // numbers and a time can always be written
	}

	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(frameTime)) // a test's recorder has none

	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(head)+1+f.count*wire.FrameSize))
	w.WriteHeader(http.StatusOK)

	if _, err := w.Write(append(bytes.Clone(head), '\n')); err != nil {
		return
	}

	_ = wire.WriteFrames(w, f.seed, f.count) // as above

	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
}
