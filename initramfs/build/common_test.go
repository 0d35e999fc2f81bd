package main

import (
	"strings"
	"testing"
)

func TestLicencesThatAreOnlyNamedAreAdded(t *testing.T) {
	text, err := withCommon("under the GPL (/usr/share/common-licenses/GPL-2), `/usr/share/common-licenses/LGPL-2.1'.\nOr /usr/share/common-licenses/GPL-2.")
	if err != nil {
		t.Fatal(err)
	}

	if strings.Count(text, "GNU GENERAL PUBLIC LICENSE\n                       Version 2") != 1 || !strings.Contains(text, "GNU LESSER GENERAL PUBLIC LICENSE") ||
		!strings.HasPrefix(text, "under the GPL") {
		t.Errorf("%.3000s", text)
	}

	if text, err := withCommon("MIT"); err != nil || text != "MIT" {
		t.Errorf("%q, %v", text, err)
	}

	if _, err := withCommon("see /usr/share/common-licenses/Unheard-1.0"); err == nil {
		t.Error("a licence that we do not have")
	}
}
