package ipmi

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Exchange is one request and its answer, a line of a recording.
type Exchange struct {
	Request string `json:"request"`          // network function, command and data, hex
	Answer  string `json:"answer,omitempty"` // completion code and data, hex
	Error   string `json:"error,omitempty"`  // no answer came
}

// Recorder is a BMC that writes down what passes through it, as JSON lines. Safe
// for concurrent use.
type Recorder struct {
	bmc BMC

	mu  sync.Mutex // guards out
	out io.Writer
}

// NewRecorder records bmc into out.
func NewRecorder(bmc BMC, out io.Writer) *Recorder { return &Recorder{bmc: bmc, out: out} }

// Do passes on and writes down.
func (r *Recorder) Do(req Request) ([]byte, error) {
	answer, err := r.bmc.Do(req)

	e := Exchange{Request: key(req), Answer: hex.EncodeToString(answer)}
	if err != nil {
		e.Error = err.Error()
	}

	line, lineErr := json.Marshal(e)
	if lineErr != nil {
		return answer, errors.Join(err, lineErr)
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	if _, writeErr := r.out.Write(append(line, '\n')); writeErr != nil {
		return answer, errors.Join(err, fmt.Errorf("recording the BMC: %w", writeErr))
	}

	return answer, err
}

func key(req Request) string {
	return hex.EncodeToString(append([]byte{req.NetFn, req.Command}, req.Data...))
}

// Replay is a BMC that answers from a recording. The same request is answered in
// the order recorded; the last answer repeats. Safe for concurrent use.
type Replay struct {
	mu        sync.Mutex // guards exchanges
	exchanges map[string][]Exchange
}

// NewReplay reads a recording.
func NewReplay(recording io.Reader) (*Replay, error) {
	replay := &Replay{exchanges: map[string][]Exchange{}}
	lines := bufio.NewScanner(recording)

	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}

		var e Exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("reading recording: %w", err)
		}

		replay.exchanges[e.Request] = append(replay.exchanges[e.Request], e)
	}

	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading recording: %w", err)
	}

	return replay, nil
}

// Set makes the BMC answer a request this way from now on: that is how a healthy
// recording becomes a failing machine. answer begins with the completion code.
func (r *Replay) Set(req Request, answer []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.exchanges[key(req)] = []Exchange{{Answer: hex.EncodeToString(answer)}}
}

// Do answers from the recording. Nothing recorded at all is ErrAbsent; a request
// that was not recorded is one that the BMC does not know.
func (r *Replay) Do(req Request) ([]byte, error) {
	const invalidCommand = 0xc1

	r.mu.Lock()
	defer r.mu.Unlock()

	if len(r.exchanges) == 0 {
		return nil, ErrAbsent
	}

	list := r.exchanges[key(req)]
	if len(list) == 0 {
		return []byte{invalidCommand}, nil
	}

	if len(list) > 1 {
		r.exchanges[key(req)] = list[1:]
	}

	if list[0].Error != "" {
		return nil, fmt.Errorf("replaying IPMI command %s: %s", key(req), list[0].Error)
	}

	answer, err := hex.DecodeString(list[0].Answer)
	if err != nil {
		return nil, fmt.Errorf("replaying IPMI command %s: %w", key(req), err)
	}

	return answer, nil
}
