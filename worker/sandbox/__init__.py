"""Untrusted bytes are parsed here, in a confined child process that is fed and read through pipes.

Parent side (the process that holds the model; numpy only, no Pillow):

    image_sandbox.py   ImageSandbox: bytes of line images in, pixels or the reason against them out, in order
    child_process.py   ChildProcess: start a confined child for any entry module, pump frames, kill, close
    limits.py          SandboxLimits: every knob, a sentence each
    protocol.py        frames, the same for both sides and for every kind of child
    image_answer.py    what an answer about one image looks like, the same for both sides
    document_sandbox.py   one child for documents, asked one thing at a time
    pdf_sandbox.py     PdfCutter: a document in, its pages and lines out
    pdf_writing.py     PdfWriter: a document and texts in, a searchable PDF or a filled form out
    pdf_messages.py, pdf_writing_messages.py    what is asked and answered about documents, the same for both sides

Child side (standard library, plus whatever the entry module imports):

    child_main.py      the script that the child runs: import the entry module, confine, check, serve
    confinement.py     resource limits, namespaces, identity, death with the parent
    system_calls.py    the seccomp filter
    image_decoder.py   the entry module for line images: Pillow
    image_structure.py what Pillow forgives and Inkpost does not: cuts, short pixel data, second pages
    pdf_cutting.py     the entry module for cutting documents: pdfium; pdf_document, pdf_drawing, pdf_facts, pdf_fields,
                       pdf_geometry and pdf_images are its parts
    pdf_renditions.py  the entry module for writing documents: qpdf, by pikepdf
    pdf_text_layer.py  an invisible layer of text; pdf_glyphless_font, pdf_page_space and text_direction are its parts
    pdf_form.py        a form filled in; pdf_form_appearance, pdf_form_fonts and pdf_form_frame are how that looks

What confines the child, and where it applies:

- everywhere: a process in a session of its own, an empty environment, no descriptor but its two pipes and
  /dev/null, working directory `/`, no site-packages hooks (`python -I -S`), CPU seconds per request (a kernel timer in
  the child), wall seconds per request (the parent's clock; SIGKILL), address space, no file growth, no core dump,
  no further descriptor, no further process (that one does not bind root);
- Linux: dies with its parent, is the kernel's first choice when memory runs out, holds no capability and gains none
  through exec, cannot be traced; on x86-64 and aarch64 a seccomp filter leaves it read, write, memory and time: no
  socket, no open, no exec, no fork, no new executable memory (written for both, run on x86-64 only so far);
- started by root: its own network namespace if the kernel allows, and it becomes user 65534 before the first byte;
- started by an ordinary user: its own user and network namespace if the kernel allows (Docker's default profile and
  some distributions do not; the filter above refuses sockets all the same).

What Pillow cannot tell, and so Inkpost cannot either: a JPEG whose pixel data ends early but whose end marker was put
back is filled with grey by libjpeg, with a warning that Pillow does not pass on. A plain cut is always noticed.

`ChildProcess.confinement` says which of the optional ones took hold, and the `sandbox.started` log event repeats it.
"""
