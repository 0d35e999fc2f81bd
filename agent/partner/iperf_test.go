package partner_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/agent/partner"
	"vetting/core"
)

// open serves a partner on the loopback and returns its port.
func open(t *testing.T, iperf3 bool) string {
	t.Helper()

	p := partner.New(partner.Config{
		Authorise: func(context.Context, core.RunID, string) (int, error) { return 0, errors.New("nobody") },
		Log:       slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})), IPerf3: iperf3,
	})

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)

	go func() { served <- p.Serve(ctx, ln) }()

	t.Cleanup(func() {
		cancel()

		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	_, port, _ := net.SplitHostPort(ln.Addr().String())

	return port
}

// TestIperf3 has the real client test with us, each way and by several streams.
func TestIperf3(t *testing.T) {
	if _, err := exec.LookPath("iperf3"); err != nil {
		t.Skip("iperf3 is not installed")
	}

	port := open(t, true)

	for name, c := range map[string]struct {
		args    []string
		streams int
		fault   string
	}{
		"to us":                    {[]string{"-n", "8M"}, 1, ""},
		"from us":                  {[]string{"-n", "8M", "-R"}, 1, ""},
		"by time":                  {[]string{"-t", "1"}, 1, ""},
		"by four streams":          {[]string{"-n", "8M", "-P", "4"}, 4, ""},
		"from us, by four streams": {[]string{"-n", "8M", "-P", "4", "-R"}, 4, ""},
		"by UDP":                   {[]string{"-u", "-n", "1M"}, 0, "not implemented"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			out, err := exec.CommandContext(ctx, "iperf3", append([]string{"-c", "127.0.0.1", "-p", port, "-J"}, c.args...)...).Output()

			var report struct {
				Error string `json:"error"`
				End   struct {
					Streams  []any `json:"streams"`
					Sent     sum   `json:"sum_sent"`
					Received sum   `json:"sum_received"`
				} `json:"end"`
			}
			if jsonErr := json.Unmarshal(out, &report); jsonErr != nil {
				t.Fatalf("%v, %v\n%s", err, jsonErr, out)
			}

			if c.fault != "" {
				if !strings.Contains(report.Error, c.fault) {
					t.Errorf("it says %q", report.Error)
				}

				return
			}

			if err != nil || report.Error != "" || len(report.End.Streams) != c.streams || report.End.Received.Bytes < 1e6 || report.End.Sent.Bytes < report.End.Received.Bytes {
				t.Errorf("%v %+v", err, report)
			}
		})
	}
}

type sum struct {
	Bytes float64 `json:"bytes"`
}

// TestIperf3IsOffUnlessToldSo: nobody without a ticket moves anything.
func TestIperf3IsOffUnlessToldSo(t *testing.T) {
	cookie := strings.Repeat("a", 36) + "\x00"

	for on, want := range map[bool]string{false: "", true: "\x09"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+open(t, on))
		if err != nil {
			t.Fatal(err)
		}

		_, _ = io.WriteString(conn, cookie)
		first := make([]byte, 1)
		n, _ := io.ReadFull(conn, first)
		_ = conn.Close()

		if string(first[:n]) != want {
			t.Errorf("on %t: it was answered %q", on, first[:n])
		}
	}
}

// iperfConn is the control connection of a client whose cookie ends with a letter, and
// what it was answered first.
func iperfConn(t *testing.T, port, letter string) (net.Conn, byte) {
	t.Helper()

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = conn.Close() })

	_, _ = io.WriteString(conn, strings.Repeat("a", 35)+letter+"\x00")

	return conn, state(t, conn)
}

// state reads what iperf3 is told.
func state(t *testing.T, conn net.Conn) byte {
	t.Helper()

	var one [1]byte
	if _, err := io.ReadFull(conn, one[:]); err != nil {
		t.Fatal(err)
	}

	return one[0]
}

// wants tells the parameters of a test.
func wants(conn net.Conn, text string) {
	_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
}

// TestIperf3HasItsBounds: clients of all addresses together have no more than a number of
// streams, and who comes then is sent away; what has ended makes room.
func TestIperf3HasItsBounds(t *testing.T) {
	const exchange, create, denied = 9, 10, 0xff

	port := open(t, true)

	for range 2 * partner.IperfMaxPlaces { // each gives back what it had
		conn, first := iperfConn(t, port, "z")
		if first != exchange {
			t.Fatalf("it was answered %d", first)
		}

		wants(conn, `{"udp":true}`)

		_, _ = io.Copy(io.Discard, conn) // why, and then it is hung up on
		_ = conn.Close()
	}

	for i := range partner.IperfMaxPlaces / 32 {
		conn, _ := iperfConn(t, port, strconv.Itoa(i))
		wants(conn, `{"tcp":true,"time":1,"parallel":32,"len":1048576}`)

		if got := state(t, conn); got != create {
			t.Fatalf("client %d was answered %d", i, got)
		}
	}

	if _, got := iperfConn(t, port, "y"); got != denied {
		t.Errorf("one too many was answered %d", got)
	}
}

// FuzzIperf3: whatever comes instead of iperf3's messages, bounds are kept.
func FuzzIperf3(f *testing.F) {
	message := func(text string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	}

	f.Add(message(`{"tcp":true,"omit":0,"time":10,"num":0,"blockcount":0,"parallel":1,"len":131072,"pacing_timer":1000,"client_version":"3.12"}`))
	f.Add(message(`{"tcp":true,"time":1e308,"parallel":-1}`))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})

	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := partner.ReadIperfJSON(bytes.NewReader(b))
		if err != nil {
			return
		}

		if ok, streams, block := partner.IperfAccepts(raw); ok && (streams < 1 || streams > 32 || block < 1 || block > 1<<20) {
			t.Errorf("%s is accepted with %s streams", raw, strconv.Itoa(streams))
		}
	})
}
