package operator

import (
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// NoColour is the flag that keeps colours out of tables; NO_COLOR in the environment
// does the same (no-color.org).
const NoColour = "no-color"

// Marks around the cells of a column that is coloured. Each cell of such a column has
// two, so that the columns are as wide as without them once they are replaced. Texts of
// hosts hold none: clean takes control characters away.
const (
	noTone    = "\x01"
	goodTone  = "\x02"
	watchTone = "\x03"
	badTone   = "\x04"
	endTone   = "\x05"
)

// coloured reports whether out shows colours and its reader wants them.
func coloured(cmd *cobra.Command, out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}

	if flag := cmd.Flag(NoColour); flag != nil && flag.Value.String() == "true" {
		return false
	}

	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS) //nolint:gosec // a descriptor fits

	return err == nil
}

// toned marks the cell of a column that tells how things stand. The word stays: nothing
// is told by a colour alone.
func (p *printer) toned(head, text string) string {
	if !p.paints || !slices.Contains([]string{"verdict", "result", "state", "severity", "worst", "status"}, head) {
		return text
	}

	return tone(text) + text + endTone
}

func tone(word string) string {
	word = strings.ToLower(word)

	switch {
	case strings.HasPrefix(word, "pass") && strings.Contains(word, "warning"):
		return watchTone
	case slices.Contains([]string{"pass", "ok", "done", "completed", "ready"}, word):
		return goodTone
	case slices.Contains([]string{"warn", "warning", "skip", "unmeasurable", "holding", "failedholding", "refused", "not ready"}, word):
		return watchTone
	case slices.Contains([]string{"fail", "failed", "error", "critical"}, word):
		return badTone
	default:
		return noTone
	}
}

// painter writes tables with colours in place of their marks: those eight that every
// terminal has, in the shades that its owner chose.
type painter struct{ to io.Writer }

func (p painter) Write(text []byte) (int, error) {
	const start = "\x1b["

	painted := strings.NewReplacer(noTone, start+"0m", goodTone, start+"32m", watchTone, start+"33m", badTone, start+"31m", endTone, start+"0m").Replace(string(text))

	if _, err := io.WriteString(p.to, painted); err != nil {
		return 0, err
	}

	return len(text), nil
}
