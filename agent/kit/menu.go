package kit

import (
	"fmt"
	"slices"
	"strings"

	"vetting/agent/screen"
	"vetting/agent/wire"
)

// Choice is what a person may choose.
type Choice int

// The choices of the menu, as they are numbered; NoChoice is anything else.
const (
	NoChoice Choice = iota
	Serve
	Vet
	Shell
	PowerOff
)

// Menu is what is shown first.
func Menu(image string, s Stick, free, all int64) string {
	return fmt.Sprintf(`
  vetting field kit                                  image %.12s
  stick %s, %d of %d MiB free for reports

    1  Appliance: serve a network port, and vet the machines behind it
    2  Vet this machine: needs no network; its disks are only read
    3  Shell
    4  Power off

  Type a number and press Enter.
`, image, s.Disk, free>>20, all>>20)
}

// Chosen reads an answer to the menu.
func Chosen(text string) Choice {
	switch text {
	case "1":
		return Serve
	case "2":
		return Vet
	case "3":
		return Shell
	case "4":
		return PowerOff
	default:
		return NoChoice
	}
}

// Profiles is the question how long a machine is to be vetted.
func Profiles() string {
	return `
  How thoroughly?

    1  quick  (Enter)  about 40 minutes
    2  deep            hours: memory, disks and processors in full
    3  soak            a day and more
    0  back

`
}

// Profile reads the answer; ok is false for anything that is none, and the profile
// empty for "back".
func Profile(text string) (profile string, ok bool) {
	switch text {
	case "", "1":
		return "quick", true
	case "2":
		return "deep", true
	case "3":
		return "soak", true
	case "0":
		return "", true
	default:
		return "", false
	}
}

// mostLines bounds the findings on a screen of 25 lines.
const mostLines = 8

// Result is what is shown when the machine is vetted.
func Result(v wire.KitVerdict) string {
	var out strings.Builder

	word := v.Verdict
	if !slices.Contains([]string{"pass", "fail", "error"}, word) {
		word = "error" // a run that was cancelled passes nobody
	}

	fmt.Fprintf(&out, "\n%s\n  %s\n", screen.Banner(word), plain(v.Summary))

	for i, finding := range v.Findings {
		if i == mostLines {
			fmt.Fprintf(&out, "  ... and %d more in the report\n", len(v.Findings)-i)

			break
		}

		fmt.Fprintf(&out, "  - %s\n", plain(finding))
	}

	if len(v.NotTested) > 0 {
		fmt.Fprintf(&out, "  NOT tested: %s\n", plain(strings.Join(v.NotTested, "; ")))
	}

	if v.Folder != "" {
		fmt.Fprintf(&out, "\n  The report is on the stick: reports/%s/report.html\n  It is signed with the key %s\n", plain(v.Folder), plain(v.Signer))
	}

	return out.String()
}

// longestText bounds a text on the screen, in bytes.
const longestText = 240

// plain keeps control characters off the terminal: what a disk calls itself must not
// move the cursor.
func plain(text string) string {
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "..."
	}

	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}

		return r
	}, text)
}
