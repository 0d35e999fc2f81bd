package smartctl

// Program runs any program.
var Program = program
