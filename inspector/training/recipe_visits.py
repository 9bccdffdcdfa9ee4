"""The visits that a recipe asks for: positions or lots, and notes about other machines among their reports."""

from dataclasses import replace

from inspector.training.edge_model import Visit
from inspector.training.foreign_notes import WithForeignNotes
from inspector.training.recipe import ProductRecipe, Recipe
from inspector.training.visits import LotVisits, Pool, PositionVisits, Visits


def visits_of(product: ProductRecipe, recipe: Recipe, pool: Pool) -> Visits[Visit]:
    """Return the source of a product's visits."""
    learnt = replace(pool, dropout=recipe.dropout, mixing=recipe.mixing)
    swapped = recipe.swapped_reports and recipe.swapped_reports / (1 - recipe.without_reports)
    found: Visits[Visit] = (
        PositionVisits(learnt) if product.has_times else LotVisits(learnt, even_groups=recipe.even_groups, swapped=swapped)
    )
    if not recipe.foreign_reports or pool.notes is None:
        return found
    return WithForeignNotes(found, pool.prompts, pool.notes, recipe.foreign_reports)
