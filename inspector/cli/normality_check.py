"""The check of normality.toml: readable, of this station's products, and fitted with the checkpoint in use."""

from collections.abc import Iterator

from inspector.cli.findings import Found, Subject, fault, note, ok
from inspector.cli.station_checks import strangers
from inspector.errors import CalibrationError
from inspector.settings import read_normalities, refuse_other_model


def check_normality(subject: Subject) -> Iterator[Found]:
    """Read normality.toml, hold its tables against the products and its model against the one in use."""
    from inspector.vlm.opening import open_any, verify_any  # noqa: PLC0415 - one broken part must not stop the other checks

    fitted = read_normalities(subject.folder)
    yield from strangers(subject.folder / "normality.toml", fitted, subject.settings.products, "products")
    name = None
    if not verify_any(subject.model_folder):
        checkpoint = open_any(subject.model_folder, subject.settings.model)
        name = f"{checkpoint.name}@{checkpoint.revision}"
    for product, section in subject.settings.products.items():
        if product not in fitted:
            if section.label_set().is_good_alone:
                yield fault(
                    f"{product}: good parts alone are known and none were shown, all go to review; run inspector calibrate normality"
                )
            elif section.good is not None:
                yield note(
                    f"{product}: no normality was fitted, a defect of an unknown kind may pass; inspector calibrate normality guards"
                )
            continue
        found = fitted[product]
        try:
            refuse_other_model({product: found}, name or found.model, subject.folder)
        except CalibrationError as error:
            yield fault(str(error))
            continue
        seen = f"limit {found.limit:.4g} from {found.groups} groups of good parts"
        yield ok(f"{product}: {seen}, at most {100 * (1 - found.keep):.3g} % of good parts go to review as unlike")
