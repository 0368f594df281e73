// Package v3 has a document and its operations, as far as Pulumi names their parts.
package v3

import (
	"github.com/pb33f/libopenapi/datamodel/high/base"
	"github.com/pb33f/libopenapi/orderedmap"
	"go.yaml.in/yaml/v4"
)

type Document struct {
	Components *Components
	Info       *base.Info
	Paths      *Paths
}

type Components struct {
	Schemas *orderedmap.Map[string, *base.SchemaProxy]
}

type Paths struct {
	PathItems *orderedmap.Map[string, *PathItem]
}

type PathItem struct{ Get, Post, Put, Delete, Patch, Head *Operation }

type Operation struct {
	Deprecated                        *bool
	Description, OperationId, Summary string
	Extensions                        *orderedmap.Map[string, *yaml.Node]
	Parameters                        []*Parameter
	RequestBody                       *RequestBody
	Responses                         *Responses
	Tags                              []string
}

type Parameter struct {
	Description, In, Name string
	Required              *bool
	Schema                *base.SchemaProxy
}

type RequestBody struct{ Content *Contents }

type Responses struct {
	Codes   *orderedmap.Map[string, *Response]
	Default *Response
}

type Response struct {
	Content     *Contents
	Description string
}

type Contents = orderedmap.Map[string, *MediaType]

type MediaType struct{ Schema *base.SchemaProxy }
