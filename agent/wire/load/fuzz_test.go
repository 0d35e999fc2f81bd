package load_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"vetting/agent/wire/load"
)

// FuzzFrames: whatever comes, nothing panics, and no byte is called good that is not
// the row's.
func FuzzFrames(f *testing.F) {
	noise := load.NewNoise(1, 100)
	head := make([]byte, load.HeadSize)
	body := noise.Put(head, load.Data, 3, 9)

	f.Add(slices.Concat(head, body), uint16(10))
	f.Add(load.Ending(1, 0, []byte("{}")), uint16(4000))
	f.Add([]byte("nonsense"), uint16(0))

	stream := load.NewNoise(1, load.BodySize)

	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		arrivals := load.NewArrivals(noise)
		if arrivals.Take(b, 7); arrivals.Came > 0 {
			want := make([]byte, load.HeadSize)
			head, _ := load.ReadHead(b)

			if body := noise.Put(want, load.Data, head.Number, head.Sent); !bytes.Equal(b, slices.Concat(want, body)) {
				t.Errorf("%x is taken for a datagram of the row", b)
			}
		}

		check := load.NewChecker(stream)
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			check.Feed(rest[:n])
			rest = rest[n:]
		}

		if line, over := check.Ended(); over && len(line) > load.BodySize {
			t.Errorf("a line of %d bytes", len(line))
		}
	})
}

// FuzzLines: no line makes more than it may of what the partner does for it.
func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"ticket":"00","proof":"","kind":"udp-up","seed":1,"ms":1000,"mbps":100,"packet":1472}` + "\n"))
	f.Add([]byte(`{"kind":"down","ms":1,"frames":18446744073709551615}` + "\n"))

	f.Fuzz(func(t *testing.T, b []byte) {
		var ask load.Ask

		in := bytes.NewReader(b)
		if load.ReadLine(in, &ask) != nil || ask.Validate() != nil {
			return
		}

		if ask.Time() > load.MaxTime || ask.Frames > load.MaxFrames || ask.Datagrams() && (ask.Packet > load.MaxPacket || ask.Mbps > load.MaxRate) {
			t.Errorf("%+v is let through", ask)
		}

		if ask.Proven("key", "challenge") {
			t.Errorf("%+v has guessed the proof", ask)
		}

		ask.Sign("key", "challenge")

		text, err := json.Marshal(ask)
		if err != nil {
			t.Fatal(err)
		}

		var again load.Ask
		if err := json.Unmarshal(text, &again); err != nil || !again.Proven("key", "challenge") || again.Proven("key", "another") || again.Proven("another", "challenge") {
			t.Errorf("%+v: %v", again, err)
		}
	})
}
