// Package catalogue holds the firmware that is known to be bad: versions of which
// their makers, or those who worked with them, have published that they fail or lose
// data. It is text; the appliance reads it as it reads an operator's baseline.
package catalogue

import _ "embed"

//go:embed catalogue.yaml
var text string //nolint:gochecknoglobals // go:embed fills variables of packages only

// Text returns the catalogue as YAML.
func Text() string { return text }
