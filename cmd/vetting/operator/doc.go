// Package operator is the part of the command line with which people and scripts
// work at an appliance, over the operator API. Each command is a row of a table: the
// route it calls, how its arguments become parameters and fields of that route, and
// how the answer is shown. What is the same for all is written once.
package operator
