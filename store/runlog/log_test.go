package runlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
	"vetting/store/runlog"
)

const run = core.RunID("01ARZ3NDEKTSV4RRFFQ69G5FAV")

func open(t *testing.T, cfg runlog.Config) *runlog.Log {
	t.Helper()

	l, err := runlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = l.Close() })

	return l
}

func lines(texts ...string) []core.LogLine {
	out := make([]core.LogLine, len(texts))
	for i, text := range texts {
		out[i] = core.LogLine{Time: time.Unix(int64(i), 0).UTC(), Level: "info", Stage: "SMART", Text: text}
	}

	return out
}

func appendTo(t *testing.T, l *runlog.Log, epoch int, seq uint64, texts ...string) uint64 {
	t.Helper()

	last, err := l.AppendLog(t.Context(), run, epoch, seq, lines(texts...))
	if err != nil {
		t.Fatal(err)
	}

	return last
}

func texts(t *testing.T, l *runlog.Log, after uint64, limit int) string {
	t.Helper()

	read, err := l.ReadLog(t.Context(), run, after, limit)
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, line := range read {
		got = append(got, fmt.Sprintf("%d:%s", line.Seq, line.Text))
	}

	return strings.Join(got, " ")
}

func pathIn(dir string) string { return filepath.Join(dir, string(run)+".ndjson") }

func TestABatchSentAgainChangesNothingAlsoAfterARestart(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	l := open(t, runlog.Config{Dir: dir})

	for range 2 {
		for _, c := range []struct {
			epoch int
			seq   uint64
			lines []string
			want  uint64
		}{
			{1, 1, []string{"a", "b"}, 2},
			{1, 2, []string{"c"}, 3},
			{1, 3, nil, 3},
			{1, 1, []string{"a", "b"}, 2},
			{2, 1, []string{"d"}, 4},
			{1, 3, nil, 3},
			{1, 2, []string{"c"}, 3},
		} {
			if last := appendTo(t, l, c.epoch, c.seq, c.lines...); last != c.want {
				t.Errorf("batch %d of epoch %d answers %d, want %d", c.seq, c.epoch, last, c.want)
			}
		}

		if err := l.Close(); err != nil {
			t.Fatal(err)
		}

		l = open(t, runlog.Config{Dir: dir})
	}

	for _, c := range []struct {
		after uint64
		limit int
		want  string
	}{
		{0, 100, "1:a 2:b 3:c 4:d"},
		{1, 2, "2:b 3:c"},
		{3, 0, "4:d"},
		{4, 10, ""},
		{99, 10, ""},
	} {
		if got := texts(t, l, c.after, c.limit); got != c.want {
			t.Errorf("after %d, %d lines: got %q, want %q", c.after, c.limit, got, c.want)
		}
	}
}

func TestABatchIsRememberedWhenThousandsCameAfterIt(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	l := open(t, runlog.Config{Dir: dir})

	const batches = 2000
	for seq := range uint64(batches) {
		appendTo(t, l, 1, seq, "x")
	}

	for range 2 {
		for _, seq := range []uint64{0, 7, 1000, batches - 1} {
			if last := appendTo(t, l, 1, seq, "x"); last != seq+1 {
				t.Errorf("batch %d answers %d", seq, last)
			}
		}

		// One that was left out is new, though later ones are known.
		_ = l.Close()
		l = open(t, runlog.Config{Dir: dir})
	}

	if got := texts(t, l, batches-1, 10); got != fmt.Sprintf("%d:x", batches) {
		t.Errorf("the end is %q", got)
	}
}

func TestReadingFromTheMiddleOfALongLog(t *testing.T) {
	t.Parallel()

	l := open(t, runlog.Config{Dir: t.TempDir()})

	long := strings.Repeat("x", 2000)
	for seq := range uint64(500) {
		appendTo(t, l, 1, seq, long, fmt.Sprintf("n%d", seq))
	}

	for _, after := range []uint64{0, 1, 2, 63, 64, 65, 500, 997, 998, 999} {
		read, err := l.ReadLog(t.Context(), run, after, 3)
		if err != nil {
			t.Fatal(err)
		}

		if want := min(3, 1000-after); uint64(len(read)) != want || read[0].Seq != after+1 {
			t.Errorf("after %d: %d lines from %d", after, len(read), read[0].Seq)
		}
	}
}

// TestEveryTornEndIsRepaired cuts a log at each of its bytes, as a power cut
// might, and sends the last batch again.
func TestEveryTornEndIsRepaired(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	l := open(t, runlog.Config{Dir: dir})
	appendTo(t, l, 1, 1, "whole")

	first, err := os.Stat(pathIn(dir))
	if err != nil {
		t.Fatal(err)
	}

	appendTo(t, l, 1, 2, "torn", "more")
	_ = l.Close()

	content, err := os.ReadFile(pathIn(dir))
	if err != nil {
		t.Fatal(err)
	}

	for size := first.Size(); size < int64(len(content)); size++ {
		if err := os.WriteFile(pathIn(dir), content[:size], 0o600); err != nil {
			t.Fatal(err)
		}

		l := open(t, runlog.Config{Dir: dir})

		if got := texts(t, l, 0, 10); got != "1:whole" {
			t.Fatalf("cut at %d: %q", size, got)
		}

		if last := appendTo(t, l, 1, 2, "torn", "more"); last != 3 {
			t.Fatalf("cut at %d: sent again, answers %d", size, last)
		}

		_ = l.Close()

		if again, err := os.ReadFile(pathIn(dir)); err != nil || !bytes.Equal(again, content) {
			t.Fatalf("cut at %d: the file differs afterwards (%v)", size, err)
		}
	}
}

// TestAChangedByteHarmsOneBatch flips bits all over a log: the other batches
// stay as they are, and numbers go on growing.
func TestAChangedByteHarmsOneBatch(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	l := open(t, runlog.Config{Dir: dir})

	for seq := range uint64(5) {
		appendTo(t, l, 1, seq, fmt.Sprintf("line%d", seq))
	}

	_ = l.Close()

	content, err := os.ReadFile(pathIn(dir))
	if err != nil {
		t.Fatal(err)
	}

	for at := range content {
		changed := bytes.Clone(content)
		changed[at] ^= 0x04

		if err := os.WriteFile(pathIn(dir), changed, 0o600); err != nil {
			t.Fatal(err)
		}

		l := open(t, runlog.Config{Dir: dir})
		got := texts(t, l, 0, 100)

		alive := 0
		for seq := range 5 {
			if strings.Contains(got, fmt.Sprintf("%d:line%d", seq+1, seq)) {
				alive++
			}
		}

		if alive < 4 {
			t.Errorf("byte %d changed: only %q is left", at, got)
		}

		if last := appendTo(t, l, 2, 1, "next"); last < 5 {
			t.Errorf("byte %d changed: the next line is number %d", at, last)
		}

		_ = l.Close()
	}
}

func TestHostileTextAndNamesStayHarmless(t *testing.T) {
	t.Parallel()

	l := open(t, runlog.Config{Dir: t.TempDir()})

	for in, want := range map[string]string{
		"plain":                        "plain",
		"Prüfung läuft ✓":              "Prüfung läuft ✓",
		"\x1b[31mred\x1b[0m":           "red",
		"\x1b]0;title\x07text":         "text",
		"\x1b]8;;http://x\x1b\\link":   "link",
		"\x1b]never ends":              "never ends",
		"\x1b(Bascii\x1b=":             "ascii",
		"a\x1b[broken\x00":             "aroken",
		"a\x1b":                        "a",
		"\u009b31mc1\u0085":            "c1",
		"a\r\nb\tc\vd":                 "a  b c d",
		"bell\a del\x7f":               "bell del",
		"cut \xff\xfe short":           "cut \ufffd\ufffd short",
		"evil\u202etxt.exe":            "eviltxt.exe",
		"zero\u200bwidth\ufeff":        "zerowidth",
		"tag\U000e0041":                "tag",
		"<script>alert(1)</script>":    "<script>alert(1)</script>",
		`{"batch":{"epoch":1,"seq":9}`: `{"batch":{"epoch":1,"seq":9}`,
	} {
		last := appendTo(t, l, 1, uint64(len(texts(t, l, 0, 0))), in)

		if got := texts(t, l, last-1, 1); got != fmt.Sprintf("%d:%s", last, want) {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}

	last := appendTo(t, l, 9, 1, strings.Repeat("é", 9000))

	read, err := l.ReadLog(t.Context(), run, last-1, 1)
	if err != nil || len(read[0].Text) > 8<<10 || !strings.HasSuffix(read[0].Text, "é…") {
		t.Errorf("a long line has %d bytes (%v)", len(read[0].Text), err)
	}

	for _, bad := range []core.RunID{"", "../../../../etc/passwd-xxxx", "01ARZ3NDEKTSV4RRFFQ69G5FA/", "a.b", "a\x00", core.RunID(strings.Repeat("A", 65))} {
		if _, err := l.AppendLog(t.Context(), bad, 1, 1, nil); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("AppendLog(%q): %v", bad, err)
		}

		if _, err := l.ReadLog(t.Context(), bad, 0, 1); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("ReadLog(%q): %v", bad, err)
		}
	}
}

func TestARunThatSaidNothingHasNoLinesAndNoFile(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	l := open(t, runlog.Config{Dir: dir})

	if got := texts(t, l, 0, 10); got != "" {
		t.Errorf("got %q", got)
	}

	if _, err := os.Stat(pathIn(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

func TestAFullDiskRefusesAndLosesNothing(t *testing.T) {
	t.Parallel()

	full := core.ErrFull
	l := open(t, runlog.Config{Dir: t.TempDir(), Room: func() error { return full }})

	if _, err := l.AppendLog(t.Context(), run, 1, 1, lines("a")); !errors.Is(err, core.ErrFull) {
		t.Errorf("got %v", err)
	}

	full = nil

	if last := appendTo(t, l, 1, 1, "a"); last != 1 {
		t.Errorf("after room was made the last line is %d", last)
	}

	full = core.ErrFull

	if last := appendTo(t, l, 1, 1, "a"); last != 1 {
		t.Errorf("a batch that is there needs no room, but answers %d", last)
	}
}

func TestATalkativeRunIsStoppedAndSaysSo(t *testing.T) {
	t.Parallel()

	l := open(t, runlog.Config{Dir: t.TempDir(), Limit: 4000})

	var last uint64
	for seq := range uint64(100) {
		last = appendTo(t, l, 1, seq, strings.Repeat("x", 100))
	}

	if last > 30 {
		t.Errorf("%d lines were kept", last)
	}

	if got := texts(t, l, last-1, 10); !strings.Contains(got, "later lines are not kept") {
		t.Errorf("the last line is %q", got)
	}
}

func TestABatchOfTooManyLinesIsRefused(t *testing.T) {
	t.Parallel()

	l := open(t, runlog.Config{Dir: t.TempDir()})

	if _, err := l.AppendLog(t.Context(), run, 1, 1, make([]core.LogLine, 10_001)); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestManyRunsAtOnceWithFewFilesOpen(t *testing.T) {
	t.Parallel()

	l := open(t, runlog.Config{Dir: t.TempDir()})

	var wg sync.WaitGroup

	for i := range 150 {
		id := core.RunID(fmt.Sprintf("01ARZ3NDEKTSV4RRFFQ69G5%03d", i))

		wg.Go(func() {
			for seq := range uint64(3) {
				last, err := l.AppendLog(t.Context(), id, 1, seq, lines("x"))
				if err != nil || last != seq+1 {
					t.Errorf("run %s batch %d: %d, %v", id, seq, last, err)
				}

				if read, err := l.ReadLog(t.Context(), id, 0, 10); err != nil || uint64(len(read)) != last {
					t.Errorf("run %s batch %d: read %d, %v", id, seq, len(read), err)
				}
			}
		})
	}

	wg.Wait()
}

func TestTheSameBatchFromManySidesIsKeptOnce(t *testing.T) {
	t.Parallel()

	l := open(t, runlog.Config{Dir: t.TempDir()})

	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if last, err := l.AppendLog(t.Context(), run, 1, 1, lines("a", "b")); err != nil || last != 2 {
				t.Errorf("%d, %v", last, err)
			}
		})
	}

	wg.Wait()

	if got := texts(t, l, 0, 0); got != "1:a 2:b" {
		t.Errorf("got %q", got)
	}
}

func FuzzAnyFileIsRead(f *testing.F) {
	f.Add([]byte(`{"seq":1,"time":"2026-11-23T11:02:42Z","level":"info","stage":"SMART","text":"a"}` + "\n" +
		`{"batch":{"epoch":1,"seq":7,"last":1,"crc32c":"5a1e09f3"}}` + "\n"))
	f.Add([]byte("{}\n{"))
	f.Add([]byte(`{"batch":{"last":18446744073709551615,"crc32c":"00000000"}}` + "\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(pathIn(dir), content, 0o600); err != nil {
			t.Fatal(err)
		}

		l := open(t, runlog.Config{Dir: dir})

		if _, err := l.ReadLog(t.Context(), run, 0, 10); err != nil {
			t.Errorf("ReadLog: %v", err)
		}

		last := appendTo(t, l, 77, 1, "after")
		if got := texts(t, l, last-1, 1); got != fmt.Sprintf("%d:after", last) {
			t.Errorf("after %d: %q", last-1, got)
		}
	})
}

func FuzzTextIsHarmless(f *testing.F) {
	f.Add("\x1b[31mred\x07\u009b1m\u202e\xff")
	f.Add("\x1b]8;;x\x1b\\\x1b(B")

	l, err := runlog.Open(runlog.Config{Dir: f.TempDir(), Limit: 1 << 40})
	if err != nil {
		f.Fatal(err)
	}

	seq := uint64(0)

	f.Fuzz(func(t *testing.T, text string) {
		seq++
		last := appendTo(t, l, 1, seq, text)

		read, err := l.ReadLog(t.Context(), run, last-1, 1)
		if err != nil || len(read) != 1 {
			t.Fatalf("%d lines, %v", len(read), err)
		}

		for _, r := range read[0].Text {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e {
				t.Errorf("%q is kept as %q", text, read[0].Text)
			}
		}

		if len(read[0].Text) > 8<<10 {
			t.Errorf("%d bytes are kept", len(read[0].Text))
		}
	})
}
