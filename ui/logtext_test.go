package ui_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"vetting/core"
	"vetting/ui"
	"vetting/ui/canned"
)

// torn is a log that cannot be read any more behind its first lines.
type torn struct{ ui.Logs }

// ReadLog is of ui.Logs.
func (l torn) ReadLog(ctx context.Context, run core.RunID, after uint64, limit int) ([]core.LogLine, error) {
	if after > 0 {
		return nil, errors.New("reading the log: input/output error")
	}

	return l.Logs.ReadLog(ctx, run, after, limit)
}

// Half a log is not to be taken for the whole: its download breaks off.
func TestALogThatCannotBeReadBreaksOff(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Logs = torn{cfg.Logs} })
	base, _ := b.listen()

	ask, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/runs/"+string(canned.Run)+"/log.txt", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	ask.Header.Set("Authorization", "Bearer "+b.token("read"))

	got, err := http.DefaultClient.Do(ask)
	if err != nil {
		return // it broke off before its first byte had left
	}
	defer got.Body.Close()

	if text, err := io.ReadAll(got.Body); err == nil {
		t.Errorf("%d bytes look like a whole log", len(text))
	}
}
