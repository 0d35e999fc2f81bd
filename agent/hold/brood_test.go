package hold_test

import (
	"strings"
	"testing"

	"vetting/agent/hold"
)

// Recorded from processes whose environment read as empty.
func TestAProcessThatIsBetweenTwoProgramsIsLookedAtAgain(t *testing.T) {
	const (
		dying = "12271 (nohup) R 1 12267 12267 0 -1 4195340 24 0 0 0 0 0 0 0 20 0 1 0 881220 0 0 18446744073709551615 0 0 0 0 0 0 0 6 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 9"
		began = "12083 (sleep) R 1 12082 12082 0 -1 4194304 92 0 0 0 0 0 0 0 20 0 1 0 881023 430080 36 18446744073709551615 94471068844032 94471068861961 " +
			"140721840170496 0 0 0 0 7 0 0 0 0 17 0 0 0 0 0 0 94471068876048 94471068877312 94472053346304 140721840177018 140721840177029 140721840177029 140721840177133 0"
	)

	for name, c := range map[string]struct {
		stat string
		want bool
	}{
		"it is dying":                     {dying, true},
		"its program has begun by now":    {began, true},
		"it is dead and not waited for":   {strings.Replace(dying, " R ", " Z ", 1), false},
		"its name looks like more fields": {strings.Replace(dying, "nohup", "a) Z 1 (b", 1), true},
		"it is a thread of the kernel":    {strings.Replace(dying, "4195340", "2129984", 1), false},
		"it was given no environment":     {strings.Replace(began, "140721840177133", "140721840177029", 1), false},
		"it is no line of the kernel's":   {"12083 (sleep) R 1", false},
		"there is nothing":                {"", false},
	} {
		if got := hold.Between(c.stat); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
