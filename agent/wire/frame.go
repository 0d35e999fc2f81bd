package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The frames by which a machine and the appliance put the network between them to
// work: each is FrameSize bytes and holds the seed of its row, its number in it,
// noise that follows from both, and the CRC-32C of all that.
const (
	FrameSize = 16 << 10
	MaxFrames = 1024 // in one exchange and direction: 16 MiB

	frameHead = 16
	frameTail = 4
)

// PartnerReply answers an exchange: what came of the frames sent. The frames that
// were asked for follow its line, in the same body.
type PartnerReply struct {
	Frames     int  `json:"frames"` // that came
	Bad        int  `json:"bad"`    // of them: damaged, or out of their row
	ServerTime Time `json:"server_time"`
}

// Validate checks limits.
func (p PartnerReply) Validate() error {
	var f faults

	if p.Frames < 0 || p.Frames > MaxFrames || p.Bad < 0 || p.Bad > p.Frames {
		f.add("frames and bad must be between 0 and %d", MaxFrames)
	}

	if p.ServerTime.IsZero() {
		f.add("server_time is missing")
	}

	return f.err()
}

// RoutePartner sends frames and gets others back.
func RoutePartner() Route {
	return Route{
		Name: "partner", Method: "POST", Path: "/api/v1/runs/{run}/partner",
		Summary: "Frames of a network test: those sent are checked, as many as asked for come back behind the answer's line.",
		Auth:    AuthSession, MaxBody: MaxFrames * FrameSize,
		Query: []Query{
			{Name: "frames", Summary: "how many frames to send back, 1024 at most"},
			{Name: "seed", Summary: "of their row"},
		},
		Response: PartnerReply{},
	}
}

// WriteFrames writes a row of frames.
func WriteFrames(w io.Writer, seed uint64, count int) error {
	frame := make([]byte, FrameSize)

	for i := range count {
		fillFrame(frame, seed, uint64(i)) //nolint:gosec // never negative

		if _, err := w.Write(frame); err != nil {
			return fmt.Errorf("writing frame %d: %w", i, err)
		}
	}

	return nil
}

func fillFrame(frame []byte, seed, number uint64) {
	binary.LittleEndian.PutUint64(frame, seed)
	binary.LittleEndian.PutUint64(frame[8:], number)

	state := seed ^ number*0x9e3779b97f4a7c15

	for at := frameHead; at+8 <= FrameSize-frameTail; at += 8 {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		binary.LittleEndian.PutUint64(frame[at:], state)
	}

	binary.LittleEndian.PutUint32(frame[FrameSize-frameTail:], checksum(frame))
}

func checksum(frame []byte) uint32 {
	return crc32.Checksum(frame[:FrameSize-frameTail], crc32.MakeTable(crc32.Castagnoli))
}

// ReadFrames reads frames to the end, checks each, and says how many came and how
// many of them were bad: damaged, or not the next of their row. The error is that
// of reading, io.ErrUnexpectedEOF where the last frame is not whole.
func ReadFrames(r io.Reader, seed uint64) (count, bad int, err error) {
	frame := make([]byte, FrameSize)

	for ; count < MaxFrames; count++ {
		_, err := io.ReadFull(r, frame)

		switch {
		case errors.Is(err, io.EOF):
			return count, bad, nil
		case err != nil:
			return count, bad, fmt.Errorf("reading frame %d: %w", count, err)
		}

		if binary.LittleEndian.Uint64(frame) != seed || binary.LittleEndian.Uint64(frame[8:]) != uint64(count) || //nolint:gosec // never negative
			binary.LittleEndian.Uint32(frame[FrameSize-frameTail:]) != checksum(frame) {
			bad++
		}
	}

	return count, bad, nil
}
