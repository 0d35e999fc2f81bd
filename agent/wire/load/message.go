package load

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Greeting is what a machine says first. No client of iperf3 begins so.
const Greeting = "VETTING LOAD 1\n"

// MaxLine bounds a line of JSON, in bytes.
const MaxLine = 4096

// What may be asked for.
const (
	Up       = "up"       // a stream from the machine to the partner
	Down     = "down"     // one from the partner to the machine
	PacketUp = "udp-up"   // datagrams, likewise
	PacketDn = "udp-down" //
	PingPong = "echo"     // datagrams that come back
)

// The bounds of what may be asked for.
const (
	MaxTime   = 2 * time.Hour
	MaxFrames = 1 << 40
	MaxRate   = 400_000 // Mbit/s of datagrams
	MinPacket = HeadSize
	MaxPacket = 9000 - 28 // bytes of a datagram, in jumbo frames
)

// Challenge is the partner's first word.
type Challenge struct {
	Challenge string `json:"challenge"` // random; part of what is proven
}

// Ask says what the machine wants.
type Ask struct {
	Ticket string `json:"ticket"`
	Proof  string `json:"proof"` // see Sign
	Kind   string `json:"kind"`
	Seed   uint64 `json:"seed"` // of the row
	// MilliS is how long the partner sends, or may wait to be sent to.
	MilliS int64 `json:"ms"`
	// Frames is how many frames of a stream to send instead; 0: for that time.
	Frames uint64 `json:"frames,omitempty"`
	// Plant has the partner flip a bit in the third frame that it sends.
	Plant bool `json:"plant,omitempty"`
	// Mbps and Packet are the rate and the size of datagrams, in bytes without the heads of
	// UDP and IP.
	Mbps   int `json:"mbps,omitempty"`
	Packet int `json:"packet,omitempty"`
}

// Sign proves that whoever asks has the ticket's key, for this challenge alone.
func (a *Ask) Sign(key, challenge string) { a.Proof = a.mac(key, challenge) }

// Proven reports whether the ask was signed with the key.
func (a *Ask) Proven(key, challenge string) bool {
	return hmac.Equal([]byte(a.Proof), []byte(a.mac(key, challenge)))
}

func (a *Ask) mac(key, challenge string) string {
	plain := *a
	plain.Proof = ""

	text, err := json.Marshal(plain)
	if err != nil {
		panic(err) // numbers and text can always be written
	}

	h := hmac.New(sha256.New, []byte(key))
	_, _ = io.WriteString(h, challenge+"\n") // a hash takes everything
	_, _ = h.Write(text)

	return hex.EncodeToString(h.Sum(nil))
}

// Time is how long the stream lasts.
func (a *Ask) Time() time.Duration { return time.Duration(a.MilliS) * time.Millisecond }

// Datagrams reports whether UDP is asked for.
func (a *Ask) Datagrams() bool { return a.Kind == PacketUp || a.Kind == PacketDn || a.Kind == PingPong }

// Validate checks the bounds.
func (a *Ask) Validate() error {
	switch {
	case len(a.Ticket) > 64 || len(a.Proof) > 128:
		return errors.New("the ticket or its proof is too long")
	case a.Kind != Up && a.Kind != Down && !a.Datagrams():
		return fmt.Errorf("kind %.20q is none of up, down, udp-up, udp-down, echo", a.Kind)
	case a.MilliS < 1 || a.MilliS > MaxTime.Milliseconds():
		return fmt.Errorf("%d ms is no time between 1 ms and %v", a.MilliS, MaxTime)
	case a.Frames > MaxFrames:
		return fmt.Errorf("%d frames, %d at most", a.Frames, uint64(MaxFrames))
	case a.Datagrams() && (a.Packet < MinPacket || a.Packet > MaxPacket):
		return fmt.Errorf("datagrams of %d bytes; %d to %d are possible", a.Packet, MinPacket, MaxPacket)
	case a.Datagrams() && (a.Mbps < 1 || a.Mbps > MaxRate):
		return fmt.Errorf("%d Mbit/s of datagrams; 1 to %d are possible", a.Mbps, MaxRate)
	default:
		return nil
	}
}

// Start answers an ask; any number that say that it is queued may come before the one that
// begins it.
type Start struct {
	Queued  bool   `json:"queued,omitempty"`  // all places are taken; another one follows
	Port    int    `json:"port,omitempty"`    // of the partner's address, UDP
	Refused string `json:"refused,omitempty"` // a sentence: why nothing comes of it
}

// Finish ends a test with datagrams.
type Finish struct {
	Sent uint64 `json:"sent"` // datagrams, by the machine
}

// Report is what the partner saw.
type Report struct {
	Frames   uint64 `json:"frames"`
	Bad      uint64 `json:"bad,omitempty"`
	FirstBad uint64 `json:"first_bad,omitempty"`
	Bytes    uint64 `json:"bytes"`
	TookNS   int64  `json:"took_ns"`

	// Of a stream that the partner sent: TCP segments with data, and those sent again.
	Segments    uint64 `json:"segments,omitempty"`
	Retransmits uint64 `json:"retransmits,omitempty"`

	// Of datagrams.
	Sent       uint64 `json:"sent,omitempty"`       // by the partner
	Reordered  uint64 `json:"reordered,omitempty"`  // came after one with a higher number
	Duplicates uint64 `json:"duplicates,omitempty"` // came twice
	Dropped    uint64 `json:"dropped,omitempty"`    // the partner had no room for
	JitterUS   uint64 `json:"jitter_us,omitempty"`  // RFC 3550, section 6.4.1

	Appliance Appliance `json:"appliance"`
}

// Appliance is what the partner's own side could do meanwhile.
type Appliance struct {
	LinkMbps   int     `json:"link_mbps,omitempty"`   // of the test NIC; 0: not known
	OthersMbps float64 `json:"others_mbps,omitempty"` // what went over it in the same direction for others
	BusiestCPU float64 `json:"busiest_cpu_percent"`   // share of time that its busiest CPU was busy
}

// WriteLine writes a message as a line.
func WriteLine(w io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("writing a line: %w", err)
	}

	if _, err := w.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("writing a line: %w", err)
	}

	return nil
}

// ReadLine reads a message that is a line, and not a byte more.
func ReadLine(r io.Reader, into any) error {
	var (
		line []byte
		one  [1]byte
	)

	for {
		if _, err := io.ReadFull(r, one[:]); err != nil {
			return fmt.Errorf("reading a line: %w", err)
		}

		if one[0] == '\n' {
			break
		}

		if line = append(line, one[0]); len(line) > MaxLine {
			return fmt.Errorf("reading a line: longer than %d bytes", MaxLine)
		}
	}

	if err := json.Unmarshal(line, into); err != nil {
		return fmt.Errorf("reading a line: %s", strings.TrimPrefix(err.Error(), "json: "))
	}

	return nil
}
