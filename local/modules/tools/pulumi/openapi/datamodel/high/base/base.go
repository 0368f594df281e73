// Package base has the schema of a value, as far as Pulumi names its parts.
package base

import (
	"errors"

	"github.com/pb33f/libopenapi/orderedmap"
	"go.yaml.in/yaml/v4"
)

type Schema struct {
	AdditionalProperties, Items               *DynamicValue[*SchemaProxy, bool]
	AllOf, AnyOf, OneOf                       []*SchemaProxy
	Default                                   *yaml.Node
	Description, Format, Pattern              string
	Discriminator                             *Discriminator
	Enum                                      []*yaml.Node
	Extensions                                *orderedmap.Map[string, *yaml.Node]
	MaxLength, MinLength                      *int64
	Maximum, Minimum, MultipleOf              *float64
	Nullable, ReadOnly, WriteOnly, Deprecated *bool
	Properties                                *orderedmap.Map[string, *SchemaProxy]
	Required, Type                            []string
}

func (*Schema) GoLow() *Low { return nil }

func (*Schema) MarshalJSONInline() ([]byte, error) { return nil, errors.New("no schema is read") }

type Low struct{}

func (*Low) Hash() uint64 { return 0 }

type SchemaProxy struct{}

func (*SchemaProxy) Schema() *Schema { return nil }

func (*SchemaProxy) IsReference() bool { return false }

func (*SchemaProxy) GetReference() string { return "" }

type DynamicValue[A, B any] struct {
	A A
	B B
}

func (*DynamicValue[A, B]) IsA() bool { return false }

func (*DynamicValue[A, B]) IsB() bool { return false }

type Discriminator struct {
	PropertyName string
	Mapping      *orderedmap.Map[string, string]
}

type Info struct{ Version string }
