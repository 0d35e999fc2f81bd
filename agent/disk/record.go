package disk

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Exchange is one command and its answer, a line of a recording. Data is hex with
// trailing zeros cut; it is filled up to In on replay.
type Exchange struct {
	Disk   string `json:"disk"`
	SCSI   string `json:"scsi,omitempty"` // CDB, hex
	NVMe   string `json:"nvme,omitempty"` // opcode, nsid ("ns" for that of the disk), cdw10, cdw11
	In     int    `json:"in,omitempty"`
	Status uint16 `json:"status,omitempty"`
	Sense  string `json:"sense,omitempty"`
	Result uint32 `json:"result,omitempty"`
	Length int    `json:"length,omitempty"` // bytes transferred
	Data   string `json:"data,omitempty"`
	Error  string `json:"error,omitempty"` // the command did not reach the device
	Idle   bool   `json:"idle,omitempty"`  // of the start of a self-test: the device took it, and did nothing
}

// Recorder is a Bus that writes down what passes through it, as JSON lines. Safe
// for concurrent use when the bus below is.
type Recorder struct {
	bus Bus

	mu  sync.Mutex // guards out
	out io.Writer
}

// NewRecorder records bus into out.
func NewRecorder(bus Bus, out io.Writer) *Recorder { return &Recorder{bus: bus, out: out} }

// SCSI opens the disk below.
func (r *Recorder) SCSI(name string) (SCSI, error) {
	dev, err := r.bus.SCSI(name)
	if err != nil {
		return nil, err
	}

	return &recordedSCSI{SCSI: dev, name: name, recorder: r}, nil
}

// NVMe opens the disk below.
func (r *Recorder) NVMe(name string) (NVMe, error) {
	dev, err := r.bus.NVMe(name)
	if err != nil {
		return nil, err
	}

	return &recordedNVMe{NVMe: dev, name: name, recorder: r}, nil
}

func (r *Recorder) write(e Exchange) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("recording %s: %w", e.Disk, err)
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	if _, err := r.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("recording %s: %w", e.Disk, err)
	}

	return nil
}

type recordedSCSI struct {
	SCSI

	name     string
	recorder *Recorder
}

// Execute passes on and writes down.
func (d *recordedSCSI) Execute(req SCSIRequest) (SCSIReply, error) {
	reply, err := d.SCSI.Execute(req)
	line := Exchange{
		Disk: d.name, SCSI: hex.EncodeToString(req.CDB), In: req.In, Status: uint16(reply.Status),
		Sense: hex.EncodeToString(reply.Sense), Length: len(reply.Data), Data: packed(reply.Data),
	}

	if err != nil {
		line.Error = err.Error()
	}

	return reply, errors.Join(err, d.recorder.write(line))
}

type recordedNVMe struct {
	NVMe

	name     string
	recorder *Recorder
}

// Admin passes on and writes down.
func (d *recordedNVMe) Admin(req NVMeRequest) (NVMeReply, error) {
	reply, err := d.NVMe.Admin(req)
	line := Exchange{
		Disk: d.name, NVMe: nvmeKey(req), In: req.In, Status: reply.Status,
		Result: reply.Result, Length: len(reply.Data), Data: packed(reply.Data),
	}

	if err != nil {
		line.Error = err.Error()
	}

	return reply, errors.Join(err, d.recorder.write(line))
}

func nvmeKey(req NVMeRequest) string {
	namespace := fmt.Sprintf("%08x", req.NSID)
	if req.Namespaced {
		namespace = "ns"
	}

	return fmt.Sprintf("%02x %s %08x %08x", req.Opcode, namespace, req.CDW10, req.CDW11)
}

func packed(b []byte) string { return hex.EncodeToString(bytes.TrimRight(b, "\x00")) }

// Replay is a Bus that answers from a recording. The same command is answered in
// the order recorded; the last answer repeats. A self-test may be started, also where
// nobody did while the recording was made: its outcome is that of the log, whose latest
// entry is newer by as much, and an ATA disk is seen at it once.
// Safe for concurrent use.
type Replay struct {
	mu        sync.Mutex // guards exchanges, started and unseen
	exchanges map[string][]Exchange
	started   map[string]byte // by disk: self-tests
	unseen    map[string]bool // by disk: at which it was not seen yet
	kinds     map[string]byte // 's' or 'n'; read only
}

// NewReplay reads a recording.
func NewReplay(recording io.Reader) (*Replay, error) {
	replay := &Replay{exchanges: map[string][]Exchange{}, started: map[string]byte{}, unseen: map[string]bool{}, kinds: map[string]byte{}}
	lines := bufio.NewScanner(recording)
	lines.Buffer(nil, 4<<20)

	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}

		var e Exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("reading recording: %w", err)
		}

		replay.add(e)
	}

	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading recording: %w", err)
	}

	return replay, nil
}

func (r *Replay) add(e Exchange) {
	r.kinds[e.Disk] = 's'
	if e.NVMe != "" {
		r.kinds[e.Disk] = 'n'
	}

	r.exchanges[e.key()] = append(r.exchanges[e.key()], e)
}

func (e Exchange) key() string { return e.Disk + " " + e.SCSI + e.NVMe }

// Edit changes every recorded answer to a command whose key (hex CDB, or the NVMe
// line) starts with prefix: that is how healthy recordings become failing disks.
func (r *Replay) Edit(name, prefix string, change func(data []byte) []byte) error {
	return r.alter(name, prefix, func(list []Exchange) ([]Exchange, error) {
		for i := range list {
			var err error
			if list[i], err = list[i].changed(change); err != nil {
				return nil, err
			}
		}

		return list, nil
	})
}

// Set lets a disk answer a command this way from now on, or in these ways in turn, of
// which the last one stays.
func (r *Replay) Set(e Exchange, then ...Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.exchanges[e.key()] = append([]Exchange{e}, then...)
}

// Later lets every answer to such a command be another one the second time, and for
// each further change another one after that: that is how a disk gets worse while it is
// watched. The last answer stays.
func (r *Replay) Later(name, prefix string, changes ...func(data []byte) []byte) error {
	return r.alter(name, prefix, func(list []Exchange) ([]Exchange, error) {
		answers := list[:1]

		for _, change := range changes {
			next, err := list[0].changed(change)
			if err != nil {
				return nil, err
			}

			answers = append(answers, next)
		}

		return answers, nil
	})
}

// alter gives a copy of each list of answers that the key fits to change.
func (r *Replay) alter(name, prefix string, change func([]Exchange) ([]Exchange, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()

	found := false

	for key, list := range r.exchanges {
		if !strings.HasPrefix(key, name+" "+prefix) {
			continue
		}

		altered, err := change(slices.Clone(list))
		if err != nil {
			return err
		}

		r.exchanges[key], found = altered, true
	}

	if !found {
		return fmt.Errorf("editing %s: no answer to %q is recorded", name, prefix)
	}

	return nil
}

// changed returns the answer with other data.
func (e Exchange) changed(change func([]byte) []byte) (Exchange, error) {
	data, err := e.bytes()
	if err != nil {
		return e, err
	}

	data = change(data)
	e.Data, e.Length = packed(data), len(data)

	return e, nil
}

// Names lists the recorded disks, sorted.
func (r *Replay) Names() []string { return slices.Sorted(maps.Keys(r.kinds)) }

// SCSI opens a recorded disk.
func (r *Replay) SCSI(name string) (SCSI, error) {
	if r.kinds[name] != 's' {
		return nil, fmt.Errorf("opening %s for SCSI: %w", name, ErrRefused)
	}

	return replayed{replay: r, name: name}, nil
}

// NVMe opens a recorded disk.
func (r *Replay) NVMe(name string) (NVMe, error) {
	if r.kinds[name] != 'n' {
		return nil, fmt.Errorf("opening %s for NVMe: %w", name, ErrRefused)
	}

	return replayed{replay: r, name: name}, nil
}

func (r *Replay) next(key string) (Exchange, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	list := r.exchanges[key]
	name, command, _ := strings.Cut(key, " ")
	starts := startsTest(command)

	if len(list) == 0 && starts {
		list = []Exchange{{}}
	}

	if len(list) == 0 {
		return Exchange{}, fmt.Errorf("replaying %q: not recorded: %w", key, ErrRefused)
	}

	if len(list) > 1 {
		r.exchanges[key] = list[1:]
	}

	if list[0].Error != "" {
		return Exchange{}, fmt.Errorf("replaying %q: %s", key, list[0].Error)
	}

	if starts && list[0].taken() && !list[0].Idle {
		r.started[name]++
		r.unseen[name] = true
	}

	return list[0], nil
}

// taken reports whether the device took a command: with a good status or, for ATA commands
// that bring registers back, none of an error.
func (e Exchange) taken() bool {
	if e.Status == 0 {
		return true
	}

	raw, err := hex.DecodeString(e.Sense)
	sense := ParseSense(raw)

	return err == nil && sense.ATA != nil && sense.ATA.Status&1 == 0
}

// tested makes of an answer about self-tests what it is after those that were started.
func (r *Replay) tested(name, command string, data []byte) {
	const (
		ataStatus, ataRunning     = 363, 0xf9
		nvmeHours, scsiHours, end = 4 + 4, 4 + 4 + 3, 16
	)

	r.mu.Lock()
	defer r.mu.Unlock()

	started := r.started[name]

	switch {
	case started == 0 || len(data) < end:
	case strings.HasPrefix(command, "85080e00d0") && len(data) == sectorSize && r.unseen[name]:
		r.unseen[name] = false

		if data[ataStatus]>>4 != ataRunning>>4 {
			data[ataStatus] = ataRunning
		}
	case strings.HasPrefix(command, "02 ffffffff 008c0006"):
		data[nvmeHours] += started
	case strings.HasPrefix(command, "4d0050"):
		data[scsiHours] += started
	}
}

// startsTest reports whether a command starts a self-test: SMART EXECUTE OFF-LINE
// IMMEDIATE, SEND DIAGNOSTIC, Device Self-test.
func startsTest(command string) bool {
	for _, start := range []string{"85062000d4", "a10620d4", "1d", "14 "} {
		if strings.HasPrefix(command, start) {
			return true
		}
	}

	return false
}

func (e Exchange) bytes() ([]byte, error) {
	data, err := hex.DecodeString(e.Data)
	if err != nil {
		return nil, fmt.Errorf("replaying %s: %w", e.Disk, err)
	}

	if e.Length > len(data) && e.Length <= 1<<20 {
		data = append(data, make([]byte, e.Length-len(data))...)
	}

	return data, nil
}

type replayed struct {
	replay *Replay
	name   string
}

// Execute answers from the recording.
func (d replayed) Execute(req SCSIRequest) (SCSIReply, error) {
	e, err := d.replay.next(d.name + " " + hex.EncodeToString(req.CDB))
	if err != nil {
		return SCSIReply{}, err
	}

	data, err := e.bytes()
	if err != nil {
		return SCSIReply{}, err
	}

	d.replay.tested(d.name, hex.EncodeToString(req.CDB), data)

	sense, err := hex.DecodeString(e.Sense)
	if err != nil {
		return SCSIReply{}, fmt.Errorf("replaying %s: %w", d.name, err)
	}

	return SCSIReply{Status: byte(e.Status), Sense: sense, Data: data}, nil //nolint:gosec // recorded from a byte
}

// Admin answers from the recording.
func (d replayed) Admin(req NVMeRequest) (NVMeReply, error) {
	e, err := d.replay.next(d.name + " " + nvmeKey(req))
	if err != nil {
		return NVMeReply{}, err
	}

	data, err := e.bytes()
	if err != nil {
		return NVMeReply{}, err
	}

	d.replay.tested(d.name, nvmeKey(req), data)

	return NVMeReply{Status: e.Status, Result: e.Result, Data: data}, nil
}

// Close does nothing.
func (replayed) Close() error { return nil }
